//! What stories and the browser test share: a running `arya try`, its API, and a client that counts every response.

// A test's helper fails by panicking, as the test itself would.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_debug_implementations
)]

mod arya;
pub mod load;

pub use arya::{Arya, Deployment, arya_binary, children_of, workspace_root};
