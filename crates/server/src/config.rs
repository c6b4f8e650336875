//! Where a command keeps its data.

use std::path::PathBuf;

use anyhow::Context as _;

/// Unless told otherwise: `arya/NAME` in the user's state directory.
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
