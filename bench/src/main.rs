//! Load generators and side-by-side measurements.

fn main() {}
