//! The program as its users meet it: the real binary, real HTTP, real files.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

mod commands;
mod examples;
mod hostile;
mod inputs;
mod judge;
mod lab;
mod login;
mod running;
mod start;
mod story;
