//! The `gangway` binary: reads the configuration, assembles the roles, decides nothing.

fn main() {}
