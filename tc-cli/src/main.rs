//! A `tc`-compatible command.

fn main() {}
