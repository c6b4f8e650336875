//! The program `arya`. All of it is in the library beside this file, so that readers of foreign bytes can be fuzzed.

use std::process::ExitCode;

fn main() -> ExitCode {
    arya::run()
}
