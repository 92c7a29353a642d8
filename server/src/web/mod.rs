//! The operator's page and its interface: HTTP requests turned into what the shards are asked, and outcomes into answers.
//! No socket is here.

mod acts;
mod connections;
pub(crate) mod desk;
mod doing;
mod guard;
mod health;
mod messages;
mod metrics;
mod page;
mod queues;
pub(crate) mod response;
mod route;
mod scrapes;
mod shown;
mod shows;
mod text;
