//! What somebody hostile could upload. Each case is refused, or taken without harm, within bounded time and memory, and
//! with a message that says what happened, how things are, and what to do.

// Helpers of tests are tests: a panic in them is a failed case.
#![allow(clippy::unwrap_used)]

mod archives;
mod composes;
mod documents;
mod layers;
mod make;
mod measure;
