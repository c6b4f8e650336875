//! The whole of it, as near to AWS as one machine gets: `arya serve` with the SDK on an account (moto, an AWS that somebody
//! else wrote), every instance of it a machine that boots with its own user data, a load balancer that does what the
//! account's rules say, and users. `cargo xtask rig` makes the images and runs these.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]
#![allow(clippy::print_stderr, reason = "a story says what it measured")]

#[path = "../../../aws/tests/moto/account.rs"]
#[allow(dead_code, reason = "the adapter's own tests look at more of it")]
mod account;
#[path = "../aws/common.rs"]
#[allow(dead_code, reason = "nobody fetches anything by itself here")]
mod common;
#[path = "../../../../tests/rig/machine.rs"]
#[allow(dead_code, reason = "the stories of one machine alone use more of it")]
mod machine;
#[path = "../../../aws/tests/moto/moto.rs"]
#[allow(dead_code, reason = "nobody's rights are checked here")]
mod moto;
#[path = "../../../../tests/rig/sample.rs"]
mod sample;
#[path = "../aws/served.rs"]
#[allow(dead_code, reason = "commands without a server are told of in another place")]
mod served;

mod balanced;
mod fleet;
mod network;
mod secrets;
mod world;

mod faults;
mod story;
mod unreached;
