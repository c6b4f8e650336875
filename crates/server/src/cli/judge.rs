//! `arya judge`: verdicts on data from files, without any server; and past deployments judged again, by one.

mod backtest;
mod faults;
mod kayenta;
mod lines;
mod table;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use arya_judge::sequential::document::{Answer, Document, answer};
use clap::Args;

pub(super) use self::backtest::backtest;
use self::faults::{Place, told};
use self::lines::Answered;
use crate::api::text;
use crate::output;

/// The largest document that is read, in bytes: a day of 5 s blocks, or a week of fifty metrics by the minute, is some
/// megabytes.
const DOCUMENT_LIMIT: u64 = 32 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct Judge {
    /// The always-valid judge on event counts
    #[arg(long, conflicts_with_all = ["config", "backtest"])]
    sequential: bool,
    /// The Kayenta-equal judge with this canary configuration; data that bring their own need none. With `--backtest`
    /// what is changed, or a canary configuration to be run on the same evidence
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What was measured; `-` reads one document per line from standard input
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "backtest",
        conflicts_with = "backtest"
    )]
    data: Option<PathBuf>,
    /// Judge past deployments again, on a running server: old and new verdict of each
    #[arg(long)]
    backtest: bool,
    /// So many of the latest deployments of which something was measured
    #[arg(long, value_name = "N", requires = "backtest", value_parser = clap::value_parser!(u64).range(1..=20))]
    last: Option<u64>,
    /// Only this deployment, by its id or name
    #[arg(long, value_name = "ID", requires = "backtest", conflicts_with = "last")]
    deployment: Option<String>,
    /// The recorded examples that came with the program
    #[arg(long, requires = "backtest", conflicts_with_all = ["last", "deployment"])]
    examples: bool,
}

impl Judge {
    /// Whether a running server is asked.
    pub(super) const fn asks_a_server(&self) -> bool {
        self.backtest
    }
}

/// How the answer about one file is written. Lines are always answered in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Table,
}

/// Judges and answers the exit code.
pub(super) fn judge(asked: &Judge, form: Form) -> anyhow::Result<u8> {
    match answered(asked, form) {
        // Whoever reads closed the pipe (`head -1`) and has what they wanted; there is nobody to complain to.
        Err(error) if is_broken_pipe(&error) => Ok(0),
        outcome => outcome,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn answered(asked: &Judge, form: Form) -> anyhow::Result<u8> {
    let data = asked
        .data
        .as_deref()
        .context("There is nothing to judge. Give it with --data FILE")?;
    let from_lines = data == Path::new("-");
    match (asked.sequential, from_lines) {
        (true, true) => lines::answer_each(io::stdin().lock(), |line, text| {
            lines::numbered(line, sequential(text, Place::Line)?).map(Answered::Judged)
        }),
        (true, false) => {
            let text = read(data, DOCUMENT_LIMIT, "Give fewer rows, or one metric at a time.")?;
            let answer = sequential(&text, Place::File).context("Nothing was judged")?;
            output::line(&serde_json::to_string(&answer)?)?;
            Ok(0)
        }
        (false, true) => kayenta::judge_lines(asked.config.as_deref()),
        (false, false) => kayenta::judge_file(asked.config.as_deref(), data, form),
    }
}

fn sequential(text: &[u8], place: Place) -> anyhow::Result<Answer> {
    let document: Document = serde_json::from_slice(text).map_err(|error| anyhow!(told(&error, place)))?;
    Ok(answer(&document)?)
}

fn read(path: &Path, limit: u64, smaller: &str) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let name = path.display();
    let unreadable = |error| anyhow!("{name} cannot be read ({error}), so nothing was judged. Check the path.");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(limit + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > limit {
        anyhow::bail!(
            "{name} is larger than {}. Nothing was judged. {smaller}",
            text::limit(limit)
        );
    }
    text.drain(..text.len() - without_mark(&text).len());
    Ok(text)
}

/// Editors put a mark of the byte order before a text, which is no part of it.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}
