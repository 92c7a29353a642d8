//! Who gets in, and who may do what: the users of `--users`, their passwords and rights, and limits for one client.

mod account;
mod bucket;
mod crowd;
mod desk;
mod hash;
mod pass;
mod rights;
mod secret;
mod source;
mod users;
mod users_file;

pub(crate) use account::Account;
pub(crate) use crowd::{Crowd, Place};
pub(crate) use desk::Denied;
pub(crate) use pass::Pass;
pub(crate) use source::Source;
pub(crate) use users::{LOGIN_BYTES_MAX, Users};
