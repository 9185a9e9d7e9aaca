//! Flyball.
fn main() {}
