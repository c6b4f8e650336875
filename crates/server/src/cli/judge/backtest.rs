//! Past deployments judged again by a running server, under a changed configuration.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{Judge, read, table};
use crate::cli::Session;
use crate::cli::live::{call, find_past, list, text};
use crate::output;

/// Far above any change or any configuration of Kayenta's, in bytes.
const CONFIG_LIMIT: u64 = 1024 * 1024;

/// Asks the server, and prints old and new verdicts; 0 whatever they are.
pub(in crate::cli) async fn backtest(session: &Session, asked: &Judge) -> anyhow::Result<u8> {
    let mut body = json!({ "examples": asked.examples });
    if let Some(last) = asked.last {
        body["last"] = json!(last);
    }
    if let Some(config) = &asked.config {
        let (key, value) = change(config)?;
        body[key] = value;
    }
    let client = session.client()?;
    if let Some(word) = &asked.deployment {
        body["deployment"] = json!(find_past(&client, word).await?);
    }
    let answer = call(&client, move |client| client.post("/api/v1/backtests", &body)).await?;
    if session.json {
        output::line(&answer.to_string())?;
        return Ok(0);
    }
    print(&answer)?;
    Ok(0)
}

/// A change of ours, or a configuration of Kayenta's, which has its metrics as objects with groups or a classifier.
fn change(path: &Path) -> anyhow::Result<(&'static str, Value)> {
    let bytes = read(path, CONFIG_LIMIT, "Leave out metrics that nothing is changed of.")?;
    let unreadable = || format!("{} is no JSON. Nothing was judged. Correct it", path.display());
    let config: Value = serde_json::from_slice(&bytes).with_context(unreadable)?;
    if !config.is_object() {
        bail!(
            "{} is no JSON object. Nothing was judged. Write what is changed as an object.",
            path.display()
        );
    }
    let of_kayenta = |metric: &Value| metric.get("groups").is_some() || metric.get("analysisConfigurations").is_some();
    let is_kayentas = config.get("classifier").is_some() || list(&config, "metrics").iter().any(of_kayenta);
    Ok((if is_kayentas { "kayenta_config" } else { "config" }, config))
}

fn print(answer: &Value) -> anyhow::Result<()> {
    output::line(&table::printable(text(answer, "sentence")))?;
    for run in list(answer, "runs") {
        let mark = if run["changed"] == true { "*" } else { " " };
        output::line(&format!(
            "{mark} {} ({}): {} -> {}",
            table::printable(text(run, "name")),
            text(run, "created_at"),
            text(&run["old"], "word"),
            text(&run["new"], "word")
        ))?;
        output::line(&format!("    {}", table::printable(text(&run["new"], "sentence"))))?;
        if let Some(both) = run.get("kayenta").filter(|both| both.is_object()) {
            output::line(&format!(
                "    Kayenta: {} with its defaults, {} with this configuration",
                score(&both["usual"]),
                score(&both["given"])
            ))?;
        }
    }
    for line in list(answer, "left_out") {
        output::line(&format!(
            "  {} was left out. {}",
            table::printable(text(line, "name")),
            text(line, "why")
        ))?;
    }
    Ok(())
}

fn score(judged: &Value) -> String {
    match judged["score"].as_f64() {
        Some(score) => format!("{} ({score:.0})", text(judged, "classification")),
        None => table::printable(text(judged, "reason")),
    }
}
