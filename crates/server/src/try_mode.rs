//! `arya try`: the whole product on this machine. Samples, local cloud, engine and server are started in that order and
//! ended in the opposite one.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arya_engine::{Engine, EngineSettings, Store};
use arya_judge::JudgeConfig;
use arya_judge::source::pack::error_share_of_clients;
use arya_local::live::{LiveCloud, LiveError, LiveSettings};
use arya_local::samples::{Sample, Samples, write_samples};
use arya_plan::timing::Timing;
use serde_json::{Value, json};

use crate::app::App;
use crate::artifacts::Artifacts;
use crate::auth::secret;
use crate::client::Connection;
use crate::prometheus::{Monitored, Prometheus};
use crate::running::{Parts, Running, login_url, make_private};
use crate::serve::listen;
use crate::sources::Sources;
use crate::world::World;
use crate::{output, signals};

/// What `arya try` was asked for.
#[derive(Debug, Clone)]
pub(crate) struct TryOptions {
    pub(crate) listen: SocketAddr,
    pub(crate) data_dir: PathBuf,
    pub(crate) browser: Browser,
    pub(crate) json: bool,
    /// Background requests per second.
    pub(crate) load_per_s: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Browser {
    /// If somebody sits at this terminal.
    Open,
    Leave,
}

/// Production's two instances start in half a second; a plan made before they are healthy would be refused.
const PRODUCTION_WITHIN: Duration = Duration::from_secs(10);

/// How a deployment is judged until its metrics are chosen from what its arms show.
fn judging() -> JudgeConfig {
    JudgeConfig {
        metrics: vec![error_share_of_clients()],
        ..JudgeConfig::default()
    }
}

/// The load balancer's counters and the embedded monitor, which is asked as any other.
fn sources(cloud: &LiveCloud) -> Sources {
    let monitor = Monitored::Embedded(cloud.monitor().clone());
    Sources {
        balancer: cloud.clone(),
        monitor: Prometheus::new(monitor, arya_local::monitor::Settings::default().interval),
    }
}

/// Runs until a signal.
pub(crate) async fn run(options: TryOptions) -> anyhow::Result<()> {
    // Who ends it while it starts is heard: children of the local cloud must not outlive it.
    let told = signals::told_to_stop();
    let running = start(&options).await?;
    running
        .until(told, async |app, connection| {
            if let Some(cloud) = app.world.local()
                && let Err(error) = cloud.production_ready(PRODUCTION_WITHIN).await
            {
                tracing::warn!(%error, "production of the local cloud is not well; a plan will say so");
            }
            announce(&options, &app, &connection)
        })
        .await
}

async fn start(options: &TryOptions) -> anyhow::Result<Running> {
    // The port first: where it is taken, nothing has been written yet.
    let listener = listen(options.listen).await?;
    make_private(&options.data_dir);
    let store = Arc::new(Store::open(&options.data_dir)?);
    let (samples, artifacts) = prepare(&options.data_dir).await?;
    let timing = Timing::TRY;
    let settings = EngineSettings {
        abandon_open: true,
        ..EngineSettings::new(timing.clone(), judging())
    };
    let token = secret().context("the system gives no random numbers")?;
    let cloud = start_cloud(live_settings(options, &samples, &artifacts, &store)?).await?;
    let engine = match Engine::start(store, cloud.clone(), sources(&cloud), settings) {
        Ok(engine) => engine,
        Err(error) => {
            cloud.stop().await;
            return Err(error.into());
        }
    };
    tokio::spawn(look_when_the_world_changes(cloud.clone(), engine.clone()));
    Running::assemble(Parts {
        listener,
        engine,
        world: World::Local(cloud),
        artifacts,
        token,
        timing,
        data_dir: options.data_dir.clone(),
        config: None,
        samples: Some(samples),
        tools: None,
    })
}

/// The sample archives, written once, and put where uploads go, so that nobody has to upload them.
async fn prepare(data_dir: &Path) -> anyhow::Result<(Samples, Artifacts)> {
    let data_dir = data_dir.to_owned();
    let work = move || -> anyhow::Result<(Samples, Artifacts)> {
        let executable = std::env::current_exe().context("the program does not know its own file")?;
        let unwritable = || {
            format!(
                "The data directory {} cannot be used. Nothing was started. Choose another with --data-dir.",
                data_dir.display()
            )
        };
        let samples = write_samples(&executable, &data_dir.join("samples")).with_context(unwritable)?;
        let artifacts = Artifacts::open(&data_dir.join("artifacts")).with_context(unwritable)?;
        for sample in [&samples.baseline, &samples.canary, &samples.canary_bad] {
            artifacts
                .adopt(&sample.image, &sample.image_digest)
                .with_context(unwritable)?;
            artifacts
                .adopt(&sample.compose, &sample.compose_digest)
                .with_context(unwritable)?;
        }
        Ok((samples, artifacts))
    };
    tokio::task::spawn_blocking(work)
        .await
        .context("preparing the samples broke off")?
}

/// Looks at most this often for the sake of changes: a swap of groups is a handful of them within milliseconds.
const LOOKS_APART: Duration = Duration::from_millis(50);

/// The local balancer says when a rule, a target or its health changed; AWS has nothing like it, and is only asked in turn.
async fn look_when_the_world_changes(cloud: LiveCloud, engine: Engine) {
    let mut changes = cloud.balancer().changes();
    while changes.changed().await.is_ok() {
        for open in engine.open_deployments().unwrap_or_default() {
            engine.look_now(&open.id);
        }
        tokio::time::sleep(LOOKS_APART).await;
    }
}

/// Where the local load balancer listened last.
const BALANCER_ADDRESS: &str = "load-balancer.address";

/// Starts the local cloud with its load balancer where it was in the run before, if nobody took that port meanwhile: what
/// was deployed then is wound up now, and its restore proof compares the listener with the one of its plan.
async fn start_cloud(settings: LiveSettings) -> Result<LiveCloud, LiveError> {
    let file = settings.data_dir.join(BALANCER_ADDRESS);
    let before = std::fs::read_to_string(&file).ok();
    let before = before.and_then(|text| text.trim().parse::<SocketAddr>().ok());
    let as_before = before
        .filter(|address| address.ip().is_loopback())
        .map(|listen| LiveSettings {
            listen,
            ..settings.clone()
        });
    let again = match as_before {
        Some(as_before) => Some(LiveCloud::start(as_before).await),
        None => None,
    };
    let cloud = match again {
        None | Some(Err(LiveError::Listen { .. })) => LiveCloud::start(settings).await?,
        Some(started) => started?,
    };
    if let Err(error) = std::fs::write(&file, cloud.address().to_string()) {
        tracing::warn!(%error, "the load balancer's address could not be kept; the next run will have another");
    }
    Ok(cloud)
}

fn live_settings(
    options: &TryOptions,
    samples: &Samples,
    artifacts: &Artifacts,
    store: &Store,
) -> anyhow::Result<LiveSettings> {
    let artifacts_dir = artifacts
        .dir()
        .canonicalize()
        .context("the artifacts directory is gone")?;
    let usual = LiveSettings::new(
        options.data_dir.clone(),
        artifacts_dir,
        samples.clone(),
        store.installation(),
    );
    Ok(LiveSettings {
        load_per_s: options.load_per_s,
        ..usual
    })
}

/// The link is used within minutes; a day covers a laptop that slept over night.
const LINK_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Says where everything is: one line of JSON, or a few for a person.
fn announce(options: &TryOptions, app: &App, connection: &Connection) -> anyhow::Result<()> {
    let login = login_url(app, connection, LINK_LIFE)?;
    let balancer = app
        .world
        .local()
        .map(|cloud| format!("http://{}", cloud.address()))
        .unwrap_or_default();
    if options.json {
        output::line(&announcement(app, connection, &login, &balancer).to_string())?;
        return Ok(());
    }
    output::line(&format!("Arya is ready: {login}"))?;
    output::line(&format!(
        "The local load balancer answers at {balancer}, with {} requests per second.",
        options.load_per_s
    ))?;
    output::line(&format!(
        "For commands and scripts: export ARYA_SERVER={} ARYA_TOKEN={}",
        connection.server, connection.token
    ))?;
    output::line(&format!(
        "Everything is kept in {}. Ctrl-C ends it all.",
        options.data_dir.display()
    ))?;
    if options.browser == Browser::Open && std::io::stdout().is_terminal() {
        open_browser(&login);
    }
    Ok(())
}

fn announcement(app: &App, connection: &Connection, login: &str, balancer: &str) -> Value {
    let sample = |sample: &Sample| json!({ "image": sample.image, "compose": sample.compose });
    let samples = app.settings.samples.as_ref();
    json!({
        "ui": connection.server,
        "load_balancer": balancer,
        "token": connection.token,
        "data_dir": app.settings.data_dir,
        "samples": samples.map(|s| json!({
            "baseline": sample(&s.baseline),
            "canary": sample(&s.canary),
            "canary_bad": sample(&s.canary_bad),
        })),
        "login": login,
    })
}

/// A browser that does not open is no failure: the address is printed.
fn open_browser(url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = std::process::Command::new(opener)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = quiet {
        tracing::info!(%error, "no browser was opened");
    }
}
