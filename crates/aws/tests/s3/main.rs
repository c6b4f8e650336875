//! The sender and the signer at a server that keeps to S3's signatures: `cargo xtask bench s3`. What was signed opens what
//! it is for and nothing else, and a file of a gigabyte arrives byte by byte, about as fast as the `aws` command sends it
//! and in little memory.
//!
//! What is asserted is a ratio of runs in turn on one machine. `ARYA_S3_MIB` is the file's size.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]
#![allow(clippy::print_stdout, reason = "its figures are what it is run for")]

mod beside;
mod server;
mod signed;

use std::process::ExitCode;

fn main() -> ExitCode {
    let said: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let [word, endpoint, file, digest] = said.as_slice()
        && word == beside::SEND
    {
        runtime.block_on(beside::send(endpoint, file.as_ref(), digest));
        return ExitCode::SUCCESS;
    }
    runtime.block_on(signed::a_url_opens_one_object_for_one_method_until_it_ends());
    if beside::a_gigabyte_arrives_as_fast_as_by_the_aws_command() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
