//! The engine on a small world of its own: whole lives, crashes, harm, trouble with the cloud, the feed, the store.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod choosing;
mod crash;
mod feed;
mod harm;
mod kept;
mod life;
mod pausing;
mod rig;
mod sources;
mod spell;
mod store;
mod trouble;
mod twins;
mod world;
