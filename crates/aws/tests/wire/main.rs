//! The adapter through the real SDK against an AWS that does what moto does not: health that takes time, tokens,
//! dependencies, listings that lag, answers that are lost. Each fault strikes each call of a deployment's life.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

#[path = "../common/mod.rs"]
#[allow(
    dead_code,
    reason = "a whole life in real time is for accounts whose clock nobody turns"
)]
mod common;

mod account;
mod ec2;
mod elb;
mod endpoint;
mod life;
mod metrics;
mod s3;
mod tree;

mod crowd;
mod faults;
mod lives;
mod logins;
mod many;
mod measured;
mod pace;
mod path;
