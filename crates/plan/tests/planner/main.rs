//! The planner, from the outside: whole lives and whole previews on a paper world.

// Helpers of tests may panic as tests do; the lint only knows functions marked as tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod around;
mod beside;
mod confounders;
mod estimate;
mod harm;
mod life;
mod paper;
mod preview;
mod proof;
mod spell;
mod users;
