//! The `gangway` binary's parts: the configuration, the command line, the assembly of roles. It
//! assembles and decides nothing.

pub mod cli;
pub mod config;
pub mod log;

mod demo;
mod roles;
