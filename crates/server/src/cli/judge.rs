//! `arya judge`: counts from a file, without any server.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use arya_judge::sequential::document::{CountsDocument, judge_counts};
use clap::Args;

use crate::output;

/// The largest document that is read: a day of 5 s blocks is about one megabyte.
const DOCUMENT_LIMIT: u64 = 64 * 1024 * 1024;

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("judge").required(true).args(["sequential", "config"])))]
pub(super) struct Judge {
    /// The always-valid judge on event counts
    #[arg(long)]
    sequential: bool,
    /// The Kayenta-equal judge with this canary configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The counts; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
}

pub(super) fn judge(asked: &Judge) -> anyhow::Result<()> {
    if asked.config.is_some() {
        anyhow::bail!(
            "This version has no Kayenta-equal judge yet, so `--config` cannot be followed. Nothing was judged. Use \
             `--sequential` with event counts."
        );
    }
    let text = read(&asked.data)?;
    let document: CountsDocument = serde_json::from_str(&text).context(
        "The data is not a document that the sequential judge reads. Nothing was judged. The README shows one",
    )?;
    let answer = judge_counts(&document).context("Nothing was judged")?;
    output::line(&serde_json::to_string(&answer)?)?;
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let name = path.display();
    let unreadable = || format!("{name} cannot be read. Nothing was judged. Check the path");
    if path == Path::new("-") {
        std::io::stdin()
            .take(DOCUMENT_LIMIT + 1)
            .read_to_string(&mut text)
            .with_context(unreadable)?;
    } else {
        let file = std::fs::File::open(path).with_context(unreadable)?;
        file.take(DOCUMENT_LIMIT + 1)
            .read_to_string(&mut text)
            .with_context(unreadable)?;
    }
    if text.len() as u64 > DOCUMENT_LIMIT {
        anyhow::bail!("{name} is larger than {DOCUMENT_LIMIT} bytes. Nothing was judged. Split it.");
    }
    Ok(text)
}
