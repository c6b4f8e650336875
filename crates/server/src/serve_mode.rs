//! `arya serve`: the server against AWS, for as long as it is let.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arya_aws::DoorKey;
use arya_engine::{Clock, Engine, EngineSettings, Store};
use arya_judge::JudgeConfig;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::app::{App, TOKEN_FILE};
use crate::artifacts::Artifacts;
use crate::auth::secret;
use crate::aws::{Accounts, ConnectionConfig, Measured, Pace, Shared};
use crate::client::Connection;
use crate::running::{Parts, Running, login_url, make_private};
use crate::serve::listen;
use crate::tools::ToolsUrl;
use crate::world::World;
use crate::{output, signals};

/// What the monitors' passwords are made from, beside it.
const DOOR_KEY_FILE: &str = "door-key";
/// What a service prints is kept in logs, where more people read it than may log in.
const LINK_LIFE: Duration = Duration::from_secs(15 * 60);
/// A secret that was cut off is none: 256 bits in hexadecimal digits.
const SECRET_LENGTH: usize = 64;

/// What `arya serve` was asked for.
#[derive(Debug, Clone)]
pub(crate) struct ServeOptions {
    pub(crate) listen: SocketAddr,
    /// Where the monitors' tools are shown; `None` = nowhere.
    pub(crate) tools_listen: Option<SocketAddr>,
    /// How browsers reach that, where something stands in front of it.
    pub(crate) tools_url: Option<ToolsUrl>,
    pub(crate) data_dir: PathBuf,
    pub(crate) config: Option<PathBuf>,
    pub(crate) connections: Vec<ConnectionConfig>,
    pub(crate) pace: Pace,
    pub(crate) json: bool,
}

/// Runs until a signal.
pub(crate) async fn run(options: ServeOptions) -> anyhow::Result<()> {
    let told = signals::told_to_stop();
    let running = start(&options).await?;
    let said = options.clone();
    running
        .until(told, async |app, connection| announce(&said, &app, &connection))
        .await
}

async fn start(options: &ServeOptions) -> anyhow::Result<Running> {
    // The port first: where it is taken, nothing has been written yet.
    let listener = listen(options.listen).await?;
    let tools = match (options.tools_listen, &options.tools_url) {
        (Some(address), stated) => Some((listen(address).await?, stated.clone())),
        (None, None) => None,
        (None, Some(_)) => anyhow::bail!(
            "--tools-url says how the tools' listener is reached, and there is none. Nothing was started. Name it with \
             --tools-listen as well."
        ),
    };
    make_private(&options.data_dir);
    let store = Arc::new(Store::open(&options.data_dir)?);
    let artifacts =
        Artifacts::open(&options.data_dir.join("artifacts")).with_context(|| unusable(&options.data_dir))?;
    let artifacts_dir = artifacts
        .dir()
        .canonicalize()
        .context("the artifacts directory is gone")?;
    let token = kept_secret(&options.data_dir, TOKEN_FILE)?;
    let door_key = DoorKey::new(Sha256::digest(kept_secret(&options.data_dir, DOOR_KEY_FILE)?).into());
    let timing = options.pace.timing();
    let judging = JudgeConfig {
        metrics: Measured::always(),
        ..JudgeConfig::default()
    };
    let clock = Clock::system();
    let shared = Shared {
        installation: store.installation(),
        artifacts_dir,
        door_key,
    };
    let accounts = Accounts::new(&options.connections, &shared, &clock);
    let settings = EngineSettings {
        clock,
        ..EngineSettings::new(timing.clone(), judging)
    };
    let engine = Engine::start(store, accounts.clone(), Measured::of(accounts.clone()), settings)?;
    let running = Running::assemble(Parts {
        listener,
        engine,
        world: World::Aws(accounts.clone()),
        artifacts,
        token,
        timing,
        data_dir: options.data_dir.clone(),
        config: options.config.clone(),
        samples: None,
        tools,
    })?;
    accounts.watch(&running.app.stopping);
    Ok(running)
}

fn unusable(data_dir: &Path) -> String {
    format!(
        "The data directory {} cannot be used. Nothing was started. Choose another with --data-dir.",
        data_dir.display()
    )
}

/// The secret of earlier starts, or a new one that is written down; readable for this user alone.
fn kept_secret(data_dir: &Path, name: &str) -> anyhow::Result<String> {
    let file = data_dir.join(name);
    if let Ok(kept) = std::fs::read_to_string(&file) {
        let kept = kept.trim();
        if kept.len() == SECRET_LENGTH && kept.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(kept.to_owned());
        }
    }
    let new = secret().context("the system gives no random numbers")?;
    // A new file of this kind may be read by nobody else.
    let unfinished = tempfile::NamedTempFile::new_in(data_dir).with_context(|| unusable(data_dir))?;
    std::fs::write(unfinished.path(), format!("{new}\n")).with_context(|| unusable(data_dir))?;
    unfinished.persist(file).with_context(|| unusable(data_dir))?;
    Ok(new)
}

/// Says where it is: one line of JSON, or a few for a person. The token is not among them: what a service prints is kept
/// in logs.
fn announce(options: &ServeOptions, app: &App, connection: &Connection) -> anyhow::Result<()> {
    let login = login_url(app, connection, LINK_LIFE)?;
    let token_file = options.data_dir.join(TOKEN_FILE);
    if options.json {
        let names: Vec<&str> = options.connections.iter().map(|one| one.name.as_str()).collect();
        let line = json!({
            "ui": connection.server,
            "login": login,
            "data_dir": options.data_dir,
            "token_file": token_file,
            "connections": names,
        });
        output::line(&line.to_string())?;
        return Ok(());
    }
    output::line(&format!(
        "Arya is ready: {login} (works once, for {} minutes; later the API token logs in)",
        LINK_LIFE.as_secs() / 60
    ))?;
    for one in &options.connections {
        output::line(&format!("Connection {}: {}.", one.name, who(one)))?;
    }
    output::line(&format!(
        "For commands and scripts: export ARYA_SERVER={} ARYA_TOKEN=\"$(cat {})\"",
        connection.server,
        token_file.display()
    ))?;
    output::line(&format!(
        "Everything is kept in {}. Ctrl-C ends the server; what it deployed stays, and the next start goes on.",
        options.data_dir.display()
    ))?;
    Ok(())
}

/// As whom, without asking AWS.
fn who(connection: &ConnectionConfig) -> String {
    let profile = connection.profile.as_ref().map_or_else(
        || "the environment's credentials".to_owned(),
        |name| format!("profile {name}"),
    );
    let role = connection.role_arn.as_ref().map(|role| format!(" in the role {role}"));
    let region = connection.region.as_ref().map(|region| format!(", region {region}"));
    [Some(profile), role, region].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_stays_and_a_broken_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let first = kept_secret(dir.path(), TOKEN_FILE).unwrap();
        assert_eq!(kept_secret(dir.path(), TOKEN_FILE).unwrap(), first);
        std::fs::write(dir.path().join(TOKEN_FILE), &first[..10]).unwrap();
        assert_ne!(kept_secret(dir.path(), TOKEN_FILE).unwrap(), first);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_the_token() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        kept_secret(dir.path(), TOKEN_FILE).unwrap();
        let mode = std::fs::metadata(dir.path().join(TOKEN_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
