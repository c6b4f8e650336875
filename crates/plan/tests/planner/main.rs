//! The planner, from the outside: whole lives and whole previews on a paper world.

mod life;
mod paper;
mod preview;
