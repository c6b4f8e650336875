//! The promises of the README as stories on the real program, and the API as a script uses it.
//!
//! Names begin with `story` or `api`; `cargo xtask test` runs them as two stages.

// A story's helpers may panic and print as tests do; the lint only knows functions marked as tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod api;
mod bad_input;
mod main_job;
mod recovery;
