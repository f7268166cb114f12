//! The store as its user sees it, each file of tests a module.

mod behaviour;
mod crash;
mod support;
mod watches;
