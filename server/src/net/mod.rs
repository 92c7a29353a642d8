//! Sockets and what runs on them: accepting, reading and sending, and the tasks of the clients.

pub(crate) mod connection;
pub(crate) mod datagrams;
pub(crate) mod handover;
pub(crate) mod listener;
pub(crate) mod patience;
pub(crate) mod poller;
pub(crate) mod socket;
pub(crate) mod sockets;
pub(crate) mod tasks;
mod uring_enter;
