//! Tests that may be looked at at any time: their error rates hold for all looks together.
//!
//! The section numbers (S1.3 …) in comments are those of the always-valid judge's specification. It works on blocks
//! and must not know metrics, sources, sentences or the time of day.

pub mod cautious;
pub mod combine;
pub mod counters;
pub mod counts;
pub mod document;
pub mod forecast;
pub mod gauge;
pub mod grid;
pub mod guard;
pub mod histogram;
pub mod pooled;
pub mod quantile;
pub mod rehearsal;
pub mod restart;
pub mod search;
pub mod share;
pub mod special;
pub mod student;
pub mod tilts;
