//! The adapter through the real SDK against moto, an AWS that somebody else wrote. `cargo xtask test --only aws` installs
//! it. Where moto is not like AWS (health, tokens, limits) nothing is asserted here.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

#[path = "../../../local/tests/contract/mod.rs"]
#[allow(dead_code, reason = "what moto does not model is not run against it")]
mod contract;

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "moto keeps bodies in memory for every test; one size is enough")]
mod common;

mod account;
mod agent;
mod bridge;
mod front;
mod moto;
mod slow;
mod stage;

mod around;
mod left;
mod live;
mod logged;
mod looks;
mod measured;
mod pieces;
mod posted;
mod rights;
mod signed;
mod story;
mod traffic;
mod whispered;

mod keeps {
    use crate::stage::Stage;

    crate::contract::contract! {
        Stage::set().await;
        a_used_token_is_answered_with_the_dead_instance_and_a_new_incarnation_lives
        what_is_gone_is_deleted_without_complaint_and_what_is_missing_is_waited_for
        a_strangers_rule_keeps_its_priority_and_stays
        a_life_with_every_step_twice_leaves_the_listener_as_it_was
    }
}
