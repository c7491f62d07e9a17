//! The `gapmend` binary: see the library for everything.

fn main() {}
