//! The process: its command line, what the machine allows it, its files, its user, its signals and its end.

pub(crate) mod addresses;
pub(crate) mod commands;
pub(crate) mod daemon;
pub(crate) mod data_directory;
pub(crate) mod drain;
mod entry;
pub(crate) mod fault;
pub(crate) mod getopt;
mod help;
pub(crate) mod keeper;
pub(crate) mod limits;
pub(crate) mod logging;
mod machine;
pub(crate) mod names;
pub(crate) mod options;
mod path_text;
pub(crate) mod paths;
pub(crate) mod permits;
pub(crate) mod pid_file;
pub(crate) mod privileges;
pub(crate) mod queue_config;
pub(crate) mod retrying;
pub(crate) mod settings;
pub(crate) mod signals;
pub(crate) mod socket_file;
pub(crate) mod stop;
mod values;
