//! The program itself on an account: `arya serve` and the commands that need no server, as processes, against moto, an AWS
//! that somebody else wrote. `cargo xtask test --only aws` installs it and runs these.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

#[path = "../../../aws/tests/moto/account.rs"]
#[allow(dead_code, reason = "the adapter's own tests look at more of it")]
mod account;
#[path = "../../../aws/tests/moto/agent.rs"]
#[allow(dead_code, reason = "nobody's rights are checked here")]
mod agent;
mod common;
#[path = "../../../aws/tests/moto/moto.rs"]
#[allow(dead_code, reason = "the adapter's own tests start it elsewhere too")]
mod moto;

mod files;
mod limited;
#[allow(dead_code, reason = "no configuration is uploaded here")]
mod served;
mod world;

mod alone;
mod left;
mod story;
