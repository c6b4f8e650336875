//! A running server, whatever world it works on: its parts put together once, and the one way out of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arya_engine::Engine;
use arya_local::samples::Samples;
use arya_plan::timing::Timing;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Scores, Settings};
use crate::artifacts::Artifacts;
use crate::auth::Auth;
use crate::client::Connection;
use crate::counters::Counters;
use crate::guard::Hosts;
use crate::serve::{Limits, router, serve};
use crate::tools::{self, Place, Shown, ToolsUrl};
use crate::world::World;

/// What a server is put together from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) listener: TcpListener,
    pub(crate) engine: Engine,
    pub(crate) world: World,
    pub(crate) artifacts: Artifacts,
    /// Opens the API.
    pub(crate) token: String,
    pub(crate) timing: Timing,
    pub(crate) data_dir: PathBuf,
    pub(crate) config: Option<PathBuf>,
    pub(crate) samples: Option<Samples>,
    /// Where the monitors' tools are shown, and the address of it that people stated.
    pub(crate) tools: Option<(TcpListener, Option<ToolsUrl>)>,
}

#[derive(Debug)]
pub(crate) struct Running {
    listener: TcpListener,
    tools: Option<TcpListener>,
    pub(crate) app: App,
    /// Where commands find it.
    pub(crate) connection: Connection,
}

impl Running {
    /// Puts it together. It answers from [`Running::until`] on.
    pub(crate) fn assemble(parts: Parts) -> anyhow::Result<Self> {
        let address = parts.listener.local_addr().context("the listener has no address")?;
        let counters = Counters::default();
        tokio::spawn(counters.clone().listen(parts.engine.subscribe()));
        let ui = format!("http://{}", reachable(address));
        let shown = parts.tools.as_ref().map(shown).transpose()?;
        let app = App {
            engine: parts.engine,
            world: parts.world,
            artifacts: parts.artifacts,
            auth: Auth::new([(parts.token.as_str(), "You")]),
            counters,
            scores: Scores::default(),
            standings: Arc::default(),
            lab: Arc::new(Semaphore::new(1)),
            settings: Arc::new(Settings {
                hosts: Hosts::of(address.ip()),
                timing: parts.timing,
                data_dir: parts.data_dir,
                config: parts.config,
                tools: shown,
                samples: parts.samples,
            }),
            stopping: CancellationToken::new(),
        };
        tokio::spawn(app.clone().keep_house(app.engine.subscribe()));
        tokio::spawn(app.clone().watch_standing());
        Ok(Self {
            listener: parts.listener,
            tools: parts.tools.map(|(listener, _)| listener),
            app,
            connection: Connection {
                server: ui,
                token: parts.token,
            },
        })
    }

    /// Answers until told to stop, or until what is done meanwhile fails; then everything is ended in order.
    pub(crate) async fn until<D>(
        self,
        told: impl Future<Output = ()>,
        meanwhile: impl FnOnce(App, Connection) -> D,
    ) -> anyhow::Result<()>
    where
        D: Future<Output = anyhow::Result<()>>,
    {
        let Self {
            listener,
            tools,
            app,
            connection,
        } = self;
        let stopping = app.stopping.clone();
        if let Some(tools) = tools {
            let shown = tools::router(app.clone());
            tokio::spawn(serve(tools, shown, Limits::USUAL, stopping.clone()));
        }
        let served = tokio::spawn(serve(listener, router(app.clone()), Limits::USUAL, stopping));
        let data_dir = &app.settings.data_dir;
        if let Err(error) = connection.remember(data_dir) {
            tracing::warn!(%error, "the address could not be written down; commands need --server and --token");
        }
        tokio::pin!(told);
        let ended = tokio::select! {
            () = &mut told => Ok(()),
            done = meanwhile(app.clone(), connection.clone()) => match done {
                Ok(()) => {
                    told.await;
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        app.stopping.cancel();
        app.engine.shutdown().await;
        app.world.stop().await;
        Connection::forget(data_dir);
        served.await.context("the server broke off")?;
        ended
    }
}

fn shown((listener, stated): &(TcpListener, Option<ToolsUrl>)) -> anyhow::Result<Shown> {
    let address = listener.local_addr().context("the tools' listener has no address")?;
    let place = stated.clone().map_or(Place::Listening(address), Place::Stated);
    Shown::at(place).context("the system gives no random numbers")
}

/// The address of a one-time link that starts a browser's session within `life`.
pub(crate) fn login_url(app: &App, connection: &Connection, life: Duration) -> anyhow::Result<String> {
    let link = app
        .auth
        .login_link(life)
        .context("the system gives no random numbers")?;
    Ok(format!("{}/login?token={link}", connection.server))
}

/// Makes the data directory readable for this user alone, if it is not there yet. What forbids it, the store will say.
pub(crate) fn make_private(data_dir: &Path) {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let _ = builder.create(data_dir);
}

/// An address that a browser on this machine can use; "every address" is none.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
