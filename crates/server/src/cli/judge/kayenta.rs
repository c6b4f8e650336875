//! The Kayenta-equal judge on files and lines.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use arya_judge::kayenta::document::DataDocument;
use arya_judge::kayenta::{Abort, CanaryConfig, Judgement, Thresholds, judge};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::faults::{Place, told};
use super::lines::{Answered, answer_each, numbered};
use super::{DOCUMENT_LIMIT, Form, read, table};
use crate::api::text;
use crate::cli::TOOL_ERROR;
use crate::output;

/// Far above any real configuration, in bytes. What it does not know a configuration keeps, at many times its size, so
/// this limit is lower than that of data.
const CONFIG_LIMIT: u64 = 1024 * 1024;

/// What to do about a file of data that is too large; its metrics are scored together, so parts are other judgements.
const LARGE_DATA: &str = "Judge fewer metrics or a shorter time at once.";
const LARGE_CONFIG: &str = "Leave out metrics that have no data.";

/// What is said instead of a judgement that Kayenta aborts.
#[derive(Serialize)]
struct Aborted {
    aborted: bool,
    reason: String,
}

impl From<&Abort> for Aborted {
    fn from(abort: &Abort) -> Self {
        Self {
            aborted: true,
            reason: abort.to_string(),
        }
    }
}

/// Judges one file of data; `config` goes before what the data bring.
pub(super) fn judge_file(config: Option<&Path>, data: &Path, form: Form) -> anyhow::Result<u8> {
    let given = config.map(read_config).transpose()?;
    let text = read(data, DOCUMENT_LIMIT, LARGE_DATA)?;
    let unread = || format!("{} was not judged", data.display());
    let judged = judge_text(given, &text).with_context(unread)?;
    match (judged, form) {
        (Ok((judgement, _)), Form::Json) => output::line(&serde_json::to_string(&judgement.answer())?)?,
        (Ok((judgement, thresholds)), Form::Table) => table::print(&judgement, thresholds)?,
        (Err(abort), Form::Json) => {
            output::line(&serde_json::to_string(&Aborted::from(&abort))?)?;
            return Ok(TOOL_ERROR);
        }
        (Err(abort), Form::Table) => bail!("As in Kayenta, the whole judgement is aborted: {abort}."),
    }
    Ok(0)
}

/// The outer error is what cannot be read, the inner one what Kayenta would not judge either.
fn judge_text(given: Option<CanaryConfig>, text: &[u8]) -> anyhow::Result<Result<(Judgement, Thresholds), Abort>> {
    let config = match given {
        Some(config) => Some(config),
        None => own_config(text, Place::File)?,
    };
    let config = config.context(
        "there is no configuration. Give one with `--config`, or as `canaryConfig` in the data; event counts are judged \
         with `--sequential`",
    )?;
    Ok(judged(&config, read_data(text, Place::File)?))
}

/// Judges one document per line; `config` is for lines that bring none. An aborted judgement is an answer like others,
/// and 3 in the end tells that there was one.
pub(super) fn judge_lines(config: Option<&Path>) -> anyhow::Result<u8> {
    let given = config.map(read_config).transpose()?;
    answer_each(std::io::stdin().lock(), |line, text| {
        let data = read_data(text, Place::Line)?;
        let own = own_config(text, Place::Line)?;
        let config = own.as_ref().or(given.as_ref());
        let config = config.context("the line has no `canaryConfig`; give one for all lines with `--config`")?;
        match judged(config, data) {
            Ok((judgement, _)) => numbered(line, judgement.answer()).map(Answered::Judged),
            Err(abort) => numbered(line, Aborted::from(&abort)).map(Answered::Aborted),
        }
    })
}

fn judged(config: &CanaryConfig, data: DataDocument) -> Result<(Judgement, Thresholds), Abort> {
    let thresholds = data.thresholds()?;
    Ok((judge(config, &data.pairs()?, thresholds)?, thresholds))
}

fn read_data(text: &[u8], place: Place) -> anyhow::Result<DataDocument> {
    serde_json::from_slice(text).map_err(|error| anyhow!(told(&error, place)))
}

fn read_config(path: &Path) -> anyhow::Result<CanaryConfig> {
    let text = read(path, CONFIG_LIMIT, LARGE_CONFIG)?;
    serde_json::from_slice(&text).map_err(|error| {
        let (path, fault) = (path.display(), told(&error, Place::File));
        anyhow!("{path} is no canary configuration, so nothing was judged: {fault}")
    })
}

/// The configuration that data bring along.
fn own_config(text: &[u8], place: Place) -> anyhow::Result<Option<CanaryConfig>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", expecting = "an object")]
    struct Brought<'a> {
        #[serde(borrow)]
        canary_config: Option<&'a RawValue>,
    }
    let brought: Brought = serde_json::from_slice(text).map_err(|error| anyhow!(told(&error, place)))?;
    let Some(raw) = brought.canary_config.map(RawValue::get) else {
        return Ok(None);
    };
    if raw.len() as u64 > CONFIG_LIMIT {
        bail!(
            "`canaryConfig` is longer than {}. {LARGE_CONFIG}",
            text::limit(CONFIG_LIMIT)
        );
    }
    serde_json::from_str(raw).map(Some).map_err(|error| {
        let fault = told(&error, place);
        anyhow!("in `canaryConfig`, counted from its start: {fault}")
    })
}
