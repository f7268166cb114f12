//! The program as its user runs it, each file of tests a module.

mod demo;
mod mistakes;
mod partners;
mod run;
mod settings;
mod support;
mod trace;
