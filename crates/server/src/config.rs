//! The server's own settings: where its data lies, and the configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

/// The configuration file of `arya serve`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) data_dir: Option<PathBuf>,
    /// Background requests per second in the local world.
    pub(crate) load: Option<u32>,
}

impl Config {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("The configuration {name} cannot be read. Nothing was started. Check --config"))?;
        serde_saphyr::from_str(&text).with_context(|| {
            format!("The configuration {name} does not say what it must. Nothing was started. Correct it")
        })
    }
}

/// Where a command keeps its data unless told otherwise: `arya/NAME` in the user's state directory.
pub(crate) fn data_dir(name: &str) -> anyhow::Result<PathBuf> {
    let set = |variable: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    let state = state.context(
        "There is no home directory to keep data in (neither XDG_STATE_HOME nor HOME is set). Nothing was started. Say \
         where with --data-dir",
    )?;
    Ok(state.join("arya").join(name))
}
