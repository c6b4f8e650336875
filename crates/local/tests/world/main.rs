//! The simulated local cloud: what AWS does, row by row of `docs/aws-behaviours.md`, on a clock that the test moves.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

mod stage;

mod life;
