//! `arya judge`: verdicts on data from files, without any server.

mod kayenta;
mod lines;
mod table;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use arya_judge::sequential::document::{Document, answer};
use clap::Args;

use crate::output;

/// The largest document that is read, in bytes: a day of 5 s blocks, or a week of fifty metrics by the minute, is some
/// megabytes.
const DOCUMENT_LIMIT: u64 = 32 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct Judge {
    /// The always-valid judge on event counts
    #[arg(long, conflicts_with = "config")]
    sequential: bool,
    /// The Kayenta-equal judge with this canary configuration; data that bring their own need none
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What was measured; `-` reads one document per line from standard input
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
}

/// How the answer about one file is written. Lines are always answered in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Table,
}

/// Judges and answers the exit code.
pub(super) fn judge(asked: &Judge, form: Form) -> anyhow::Result<u8> {
    let from_lines = asked.data == Path::new("-");
    match (asked.sequential, from_lines) {
        (true, true) => lines::answer_each(std::io::stdin().lock(), sequential),
        (true, false) => {
            output::line(&sequential(&read(&asked.data, DOCUMENT_LIMIT)?)?)?;
            Ok(0)
        }
        (false, true) => kayenta::judge_lines(asked.config.as_deref()),
        (false, false) => kayenta::judge_file(asked.config.as_deref(), &asked.data, form),
    }
}

fn sequential(text: &[u8]) -> anyhow::Result<String> {
    let document: Document = serde_json::from_slice(text)
        .context("The data is not a document that the sequential judge reads. Nothing was judged")?;
    let answer = answer(&document).context("Nothing was judged")?;
    Ok(serde_json::to_string(&answer)?)
}

fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let name = path.display();
    let unreadable = || format!("{name} cannot be read. Nothing was judged. Check the path");
    let file = std::fs::File::open(path).with_context(unreadable)?;
    file.take(limit + 1).read_to_end(&mut text).with_context(unreadable)?;
    if text.len() as u64 > limit {
        anyhow::bail!("{name} is larger than {limit} bytes. Nothing was judged. Split it.");
    }
    Ok(text)
}
