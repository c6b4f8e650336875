//! The simulated local cloud: what AWS does, row by row of `docs/aws-behaviours.md`, on a clock that the test moves.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

#[path = "../contract/mod.rs"]
mod contract;
mod stage;

mod cloud;
mod faults;
mod life;
mod people;
mod routing;

mod keeps {
    use crate::stage::Stage;

    crate::contract::contract!(Stage::new());
}

mod keeps_at_the_pace_of_aws {
    use crate::stage::{Stage, aws};

    crate::contract::contract!(Stage::with(aws));
}
