//! The operator's page and its interface: HTTP requests turned into what the shards are asked, and outcomes into answers.
//! No socket is here.

pub(crate) mod desk;
mod guard;
mod health;
mod metrics;
mod page;
pub(crate) mod response;
mod route;
mod scrapes;
mod shown;
mod shows;
mod text;
