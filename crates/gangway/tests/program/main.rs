//! The program as its user runs it, each file of tests a module.

mod demo;
mod files;
mod mistakes;
mod partners;
mod run;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod trace;
