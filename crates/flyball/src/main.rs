//! The program. Everything is in the library beside it, so that it can be tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    flyball::main()
}
