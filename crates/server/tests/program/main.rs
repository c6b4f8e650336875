//! The program as its users meet it: the real binary, real HTTP, real files.

mod commands;
mod examples;
mod inputs;
mod login;
mod running;
mod start;
mod story;
