//! The Kayenta-equal judge on files and lines.

use std::path::Path;

use anyhow::Context as _;
use arya_judge::kayenta::document::DataDocument;
use arya_judge::kayenta::{Abort, CanaryConfig, Judgement, Thresholds, judge};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{DOCUMENT_LIMIT, Form, lines, read, table};
use crate::cli::TOOL_ERROR;
use crate::output;

/// Far above any real configuration, in bytes. What it does not know a configuration keeps, at many times its size, so
/// this limit is lower than that of data.
const CONFIG_LIMIT: usize = 1024 * 1024;

/// Judges one file of data; `config` goes before what the data bring.
pub(super) fn judge_file(config: Option<&Path>, data: &Path, form: Form) -> anyhow::Result<u8> {
    let given = config.map(read_config).transpose()?;
    let text = read(data, DOCUMENT_LIMIT)?;
    let unread = || format!("{} was not judged", data.display());
    let judged = judge_text(given, &text).with_context(unread)?;
    match (judged, form) {
        (Ok((judgement, _)), Form::Json) => output::line(&serde_json::to_string(&judgement.answer())?)?,
        (Ok((judgement, thresholds)), Form::Table) => table::print(&judgement, thresholds)?,
        (Err(abort), Form::Json) => {
            output::line(&aborted(&abort))?;
            return Ok(TOOL_ERROR);
        }
        (Err(abort), Form::Table) => anyhow::bail!("As in Kayenta, the whole judgement is aborted: {abort}."),
    }
    Ok(0)
}

/// The outer error is what cannot be read, the inner one what Kayenta would not judge either.
fn judge_text(given: Option<CanaryConfig>, text: &[u8]) -> anyhow::Result<Result<(Judgement, Thresholds), Abort>> {
    let config = match given {
        Some(config) => Some(config),
        None => own_config(text)?,
    };
    let config = config.context(
        "there is no configuration. Give one with `--config`, or as `canaryConfig` in the data; event counts are judged \
         with `--sequential`",
    )?;
    Ok(judged(&config, read_data(text)?))
}

/// Judges one document per line; `config` is for lines that bring none. An aborted judgement is an answer like others.
pub(super) fn judge_lines(config: Option<&Path>) -> anyhow::Result<u8> {
    let given = config.map(read_config).transpose()?;
    lines::answer_each(std::io::stdin().lock(), |text| {
        let data = read_data(text)?;
        let own = own_config(text)?;
        let config = own.as_ref().or(given.as_ref());
        let config = config.context("The line has no `canaryConfig`, so it was not judged")?;
        match judged(config, data) {
            Ok((judgement, _)) => Ok(serde_json::to_string(&judgement.answer())?),
            Err(abort) => Ok(aborted(&abort)),
        }
    })
}

fn judged(config: &CanaryConfig, data: DataDocument) -> Result<(Judgement, Thresholds), Abort> {
    let thresholds = data.thresholds()?;
    Ok((judge(config, &data.pairs()?, thresholds)?, thresholds))
}

fn read_data(text: &[u8]) -> anyhow::Result<DataDocument> {
    serde_json::from_slice(text).context("The data cannot be read")
}

fn aborted(abort: &Abort) -> String {
    json!({"aborted": true, "reason": abort.to_string()}).to_string()
}

fn read_config(path: &Path) -> anyhow::Result<CanaryConfig> {
    let text = read(path, CONFIG_LIMIT as u64)?;
    serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} is not a canary configuration that Kayenta reads. Nothing was judged",
            path.display()
        )
    })
}

/// The configuration that data bring along.
fn own_config(text: &[u8]) -> anyhow::Result<Option<CanaryConfig>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", expecting = "an object")]
    struct Brought<'a> {
        #[serde(borrow)]
        canary_config: Option<&'a RawValue>,
    }
    let brought: Brought = serde_json::from_slice(text).context("The data cannot be read")?;
    let Some(raw) = brought.canary_config.map(RawValue::get) else {
        return Ok(None);
    };
    if raw.len() > CONFIG_LIMIT {
        anyhow::bail!("`canaryConfig` is longer than {CONFIG_LIMIT} bytes");
    }
    let read = serde_json::from_str(raw);
    read.map(Some)
        .context("Inside `canaryConfig`, lines and columns counted from its start")
}
