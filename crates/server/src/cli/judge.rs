//! `arya judge`: counts from a file, without any server.

use std::io::{BufRead, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use arya_judge::sequential::document::{Document, answer};
use clap::Args;
use serde_json::json;

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
    /// The counts; `-` reads one document per line from standard input
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
    if asked.data == Path::new("-") {
        return lines(std::io::stdin().lock());
    }
    let answer = judged(&read(&asked.data)?)?;
    output::line(&answer)?;
    Ok(())
}

/// One document per line in, one answer per line out, in order; a bad line gets its error and does not stop the rest.
fn lines(mut input: impl BufRead) -> anyhow::Result<()> {
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        number += 1;
        line.clear();
        let read = input.by_ref().take(DOCUMENT_LIMIT + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if line.len() as u64 > DOCUMENT_LIMIT {
            anyhow::bail!(
                "Line {number} is longer than {DOCUMENT_LIMIT} bytes. The lines before it were judged. Split it."
            );
        }
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        let answer =
            judged(&text).unwrap_or_else(|error| json!({"line": number, "error": format!("{error:#}")}).to_string());
        output::line(&answer)?;
    }
}

fn judged(text: &str) -> anyhow::Result<String> {
    let document: Document = serde_json::from_str(text)
        .context("The data is not a document that the sequential judge reads. Nothing was judged")?;
    let answer = answer(&document).context("Nothing was judged")?;
    Ok(serde_json::to_string(&answer)?)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let name = path.display();
    let unreadable = || format!("{name} cannot be read. Nothing was judged. Check the path");
    let file = std::fs::File::open(path).with_context(unreadable)?;
    file.take(DOCUMENT_LIMIT + 1)
        .read_to_string(&mut text)
        .with_context(unreadable)?;
    if text.len() as u64 > DOCUMENT_LIMIT {
        anyhow::bail!("{name} is larger than {DOCUMENT_LIMIT} bytes. Nothing was judged. Split it.");
    }
    Ok(text)
}
