//! What this server is and keeps, for who looks after it.

use std::path::PathBuf;

use arya_plan::identity::InstallationId;

use super::App;
use super::evidence::aside;
use crate::api::problem::Problem;
use crate::world::World;

/// The API token of a server that outlives a start, in its data directory.
pub(crate) const TOKEN_FILE: &str = "api-token";
/// Everything that is stored, with what is not written into it yet.
const DATABASE: [&str; 2] = ["arya.sqlite", "arya.sqlite-wal"];

/// A server, as it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) installation: InstallationId,
    pub(crate) data_dir: PathBuf,
    /// The configuration file; `None` = started without one.
    pub(crate) config: Option<PathBuf>,
    /// Where the API token is; `None` = it ends with the program.
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) connections: Vec<ConnectionLine>,
    /// Deployments that are not closed.
    pub(crate) open: usize,
    /// Uploaded files, all together.
    pub(crate) files_bytes: u64,
    pub(crate) database_bytes: u64,
}

/// A connection as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionLine {
    pub(crate) name: String,
    /// Whose credentials.
    pub(crate) profile: String,
    pub(crate) role: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
    /// Where the load balancer's numbers are read.
    pub(crate) measured_by: &'static str,
}

impl App {
    /// Looks at this machine's disk, and at nothing else.
    pub(crate) async fn about(&self) -> Result<About, Problem> {
        let app = self.clone();
        aside(move || {
            let data_dir = app.settings.data_dir.clone();
            let size = |name: &str| std::fs::metadata(data_dir.join(name)).map_or(0, |file| file.len());
            let token_file = data_dir.join(TOKEN_FILE);
            Ok(About {
                installation: app.engine.installation(),
                token_file: token_file.is_file().then_some(token_file),
                connections: app.world.connections(),
                open: app.open_deployments()?.len(),
                files_bytes: app.artifacts.held(),
                config: app.settings.config.clone(),
                database_bytes: DATABASE.into_iter().map(size).sum(),
                data_dir,
            })
        })
        .await
    }
}

impl World {
    /// The local world has none that could be configured.
    fn connections(&self) -> Vec<ConnectionLine> {
        match self {
            Self::Local(_) => vec![],
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.lines(),
        }
    }
}
