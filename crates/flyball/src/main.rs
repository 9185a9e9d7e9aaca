//! Only starts the library, so that everything can be tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    flyball::main()
}
