//! Who gets in, and what he may do: the users of `--users`, their passwords and rights, and limits for one client.

mod account;
mod desk;
mod hash;
mod rights;
mod secret;
mod source;
mod users;
mod users_file;

pub(crate) use account::Account;
pub(crate) use desk::Denied;
pub(crate) use source::Source;
pub(crate) use users::Users;
