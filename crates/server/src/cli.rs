//! The command line: what can be asked, and the exit codes that scripts rely on.

#[cfg(feature = "aws")]
mod alone;
mod follow;
mod judge;
mod live;
#[cfg(feature = "aws")]
mod planned;
mod spec_file;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(feature = "aws")]
use crate::aws::Config;
use crate::client::{Client, Connection};
use crate::config;
use crate::output;
#[cfg(feature = "aws")]
use crate::serve_mode::ServeOptions;
use crate::try_mode::{Browser, TryOptions};

/// What every failure of the tool itself exits with, wrong usage included.
pub(crate) const TOOL_ERROR: u8 = 3;
/// How long a verdict is waited for unless said otherwise: most regressions that matter show within this.
const WAIT_DEFAULT: &str = "30m";
/// Where the pages are unless said otherwise: on this machine alone.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7070);

#[derive(Debug, Parser)]
#[command(
    name = "arya",
    version,
    about = "Canary deployments behind an existing load balancer",
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The running server; by default the one that `arya try` started for this user
    #[arg(long, global = true, env = "ARYA_SERVER", value_name = "URL")]
    server: Option<String>,
    /// Its API token
    #[arg(
        long,
        global = true,
        env = "ARYA_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole product on this machine: a local cloud, real requests, a sample service
    Try(Try),
    /// The server against AWS, by the standard AWS environment and profile files
    Serve(Serve),
    /// Shows the plan for a spec; touches nothing in the cloud. Exits 0 also when the plan has problems that block it
    /// (`--json` names them), 3 when there is no plan
    Plan(Plan),
    /// Starts a deployment
    Apply(Apply),
    /// Follows a deployment
    Watch(Watch),
    /// Sets the share of matching traffic for each of canary and baseline
    Weight {
        /// Its id, or the name of a live one
        id: String,
        /// Percent of the traffic that matches, for each of the two
        #[arg(value_parser = percent)]
        percent: f64,
    },
    /// Removes a deployment, from any state. Without a server: by its id, from AWS credentials and tags alone
    Destroy(Destroy),
    /// Finds everything with Arya's tags, from AWS credentials alone, and removes it with --yes
    #[cfg(feature = "aws")]
    Sweep(alone::Sweep),
    /// Prints the least IAM policy for the calls that this version makes
    #[cfg(feature = "aws")]
    Iam(alone::Iam),
    /// Finds and removes everything with Arya's tags; needs a program built with AWS
    #[cfg(not(feature = "aws"))]
    Sweep(Elsewhere),
    /// Prints the least IAM policy; needs a program built with AWS
    #[cfg(not(feature = "aws"))]
    Iam(Elsewhere),
    /// Prints the verdict; exits 0 no worse, 1 harmful, 2 not enough evidence, 3 tool error
    Check {
        /// Its id or name; may be left out while only one is live
        id: Option<String>,
        /// Report, but exit 0 whatever the verdict
        #[arg(long)]
        soft_fail: bool,
    },
    /// Prints the report as one HTML file, or as JSON
    Report {
        /// Its id, or the name of a live one
        id: String,
    },
    /// Overrules a harmful verdict, with a reason that is kept
    Override {
        /// Its id, or the name of a live one
        id: String,
        /// Why, in a person's words; the feed and the report keep it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Judges data from files, without a server; or past deployments again, with one
    Judge(judge::Judge),
    /// The sample service that `arya try` deploys
    #[command(hide = true)]
    Sample,
}

#[derive(Debug, Args)]
struct Try {
    /// Where the pages and the API are
    #[arg(long, default_value_t = LISTEN, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where everything is kept [default: arya/try in the user's state directory]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// Do not open a browser
    #[arg(long)]
    no_browser: bool,
    /// Background requests per second
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    load: u32,
}

#[derive(Debug, Args)]
struct Serve {
    /// A YAML file with `listen`, `data_dir` and `connections` (docs/aws.md)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the pages and the API are; anything but loopback needs a proxy with TLS in front of it [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the monitors' Grafana, Prometheus, Kayenta and Referee are shown to who is logged in; without it nowhere
    #[arg(long, value_name = "ADDRESS")]
    tools_listen: Option<SocketAddr>,
    /// How browsers reach that, where a proxy stands in front of it: https://tools.example.com
    #[arg(long, value_name = "URL")]
    tools_url: Option<crate::tools::ToolsUrl>,
    /// Where everything is kept [default: arya/serve in the user's state directory]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
}

/// What another build of this program reads.
#[cfg(not(feature = "aws"))]
#[derive(Debug, Args)]
struct Elsewhere {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

#[derive(Debug, Args)]
struct Destroy {
    /// Its id, or the name of a live one
    id: String,
    /// Return when everything is gone
    #[arg(long)]
    wait: bool,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    accounts: alone::Where,
}

#[derive(Debug, Args)]
struct Plan {
    #[command(flatten)]
    spec: SpecFile,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    accounts: alone::Where,
}

#[derive(Debug, Args)]
struct SpecFile {
    /// The spec in YAML or JSON; files that it names by path are uploaded
    #[arg(short = 'f', long = "file", value_name = "SPEC")]
    file: PathBuf,
}

#[derive(Debug, Args)]
struct Apply {
    #[command(flatten)]
    spec: SpecFile,
    /// Return with the verdict; the exit code says which
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, Args)]
struct Watch {
    /// Its id, or the name of a live one
    id: String,
    /// What to wait for
    #[arg(long, value_enum, default_value_t = Until::Destroyed)]
    until: Until,
    #[command(flatten)]
    patience: Patience,
}

/// How long to wait, and what happens when somebody loses patience.
#[derive(Debug, Clone, Copy, Args)]
struct Patience {
    /// Such as 90s, 30m or 2h; a verdict that is not there by then counts as not enough evidence
    #[arg(long, default_value = WAIT_DEFAULT, value_parser = duration)]
    timeout: Duration,
    /// What Ctrl-C or SIGTERM does to the deployment [default: destroy without a terminal, else leave]
    #[arg(long, value_enum)]
    on_cancel: Option<OnCancel>,
    /// Report the verdict, but exit 0
    #[arg(long)]
    soft_fail: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    Verdict,
    Serving,
    Destroyed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnCancel {
    Destroy,
    Leave,
}

/// `90s`, `30m`, `2h`, or seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("`{text}` is no duration; write 90s, 30m or 2h"))?;
    let seconds = match &text[digits.len()..] {
        "" | "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        _ => None,
    };
    // A deployment lives at most a week.
    let seconds = seconds.filter(|seconds| *seconds <= 7 * 24 * 3600);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{text}` is no duration up to 168h; write 90s, 30m or 2h"))
}

/// Reads the arguments; if they ask for nothing, the exit code.
pub(crate) fn read() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        // The text goes to where clap wants it; a closed pipe changes nothing about the code.
        let _ = error.print();
        let shown = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        if shown {
            return ExitCode::SUCCESS;
        }
        output::complain("Nothing was done.");
        ExitCode::from(TOOL_ERROR)
    })
}

impl Cli {
    /// Does what needs no runtime, and answers the exit code. Scripts judge in loops, so starting must cost nothing.
    pub(crate) fn at_once(&self) -> Option<ExitCode> {
        match &self.command {
            Command::Judge(asked) if !asked.asks_a_server() => Some(exit(judge::judge(asked, self.form()))),
            _ => None,
        }
    }

    /// Does what was asked, and answers the exit code.
    pub(crate) async fn run(self) -> ExitCode {
        exit(obey(self).await)
    }

    fn form(&self) -> judge::Form {
        if self.json {
            judge::Form::Json
        } else {
            judge::Form::Table
        }
    }
}

/// Whether it can be a share is the server's to say.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').trim_end().replace(',', ".");
    let wrong = |_| format!("`{text}` is no number; write a share in percent, such as 5");
    number.parse().map_err(wrong)
}

fn exit(outcome: anyhow::Result<u8>) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::complain(&output::with_causes(&error));
            ExitCode::from(TOOL_ERROR)
        }
    }
}

async fn obey(cli: Cli) -> anyhow::Result<u8> {
    let form = cli.form();
    let session = Session {
        // A variable that is set to nothing names nothing.
        server: cli.server.filter(|server| !server.is_empty()),
        token: cli.token.filter(|token| !token.is_empty()),
        json: cli.json,
    };
    match cli.command {
        Command::Try(asked) => crate::try_mode::run(trying(asked, session.json)?).await.map(|()| 0),
        Command::Serve(asked) => serving(asked, session.json).await.map(|()| 0),
        Command::Sample => sample().await.map(|()| 0),
        Command::Judge(asked) if asked.asks_a_server() => judge::backtest(&session, &asked).await,
        Command::Judge(asked) => judge::judge(&asked, form),
        Command::Plan(asked) => plan(&session, asked).await,
        Command::Apply(asked) => live::apply(&session, &asked.spec.file, asked.wait, asked.patience).await,
        Command::Watch(asked) => live::watch(&session, &asked.id, asked.until, asked.patience).await,
        Command::Weight { id, percent } => live::weight(&session, &id, percent).await,
        Command::Destroy(asked) => destroy(&session, asked).await,
        #[cfg(feature = "aws")]
        Command::Sweep(asked) => alone::sweep(asked, session.json).await,
        #[cfg(feature = "aws")]
        Command::Iam(asked) => alone::iam(asked, session.json),
        #[cfg(not(feature = "aws"))]
        Command::Sweep(asked) | Command::Iam(asked) => {
            drop(asked.rest);
            Err(without_aws("say anything of an account"))
        }
        Command::Check { id, soft_fail } => live::check(&session, id.as_deref(), soft_fail).await,
        Command::Report { id } => live::report(&session, &id).await,
        Command::Override { id, reason } => live::overrule(&session, &id, &reason).await,
    }
}

/// What every command that speaks to a server needs.
#[derive(Debug)]
struct Session {
    server: Option<String>,
    token: Option<String>,
    json: bool,
}

impl Session {
    /// The servers of this user that wrote down where they are. One that was killed leaves its address behind.
    fn remembered() -> Vec<Connection> {
        let of = |name| Connection::recall(&config::data_dir(name).ok()?);
        ["try", "serve"].into_iter().filter_map(of).collect()
    }

    /// Whether one was named, or one of this user answers.
    #[cfg(feature = "aws")]
    fn has_a_server(&self) -> bool {
        self.server.is_some() || self.token.is_some() || answering(&Self::remembered()).is_some()
    }

    fn client(&self) -> anyhow::Result<Client> {
        let known = Self::remembered();
        // Where none answers, the first is asked all the same: then it says itself that nobody is there.
        let running = || answering(&known).or(known.first()).cloned();
        let connection = match (&self.server, &self.token) {
            (Some(server), Some(token)) => Some(Connection {
                server: server.clone(),
                token: token.clone(),
            }),
            (None, None) => running(),
            (Some(server), None) => known.iter().find(|known| known.server == *server).cloned(),
            (None, Some(token)) => running().map(|known| Connection {
                token: token.clone(),
                ..known
            }),
        };
        connection.map(Client::new).ok_or_else(|| {
            anyhow::anyhow!(
                "There is no server to speak to. Nothing was done. Start `arya try` or `arya serve`, or give --server and \
                 --token (or ARYA_SERVER and ARYA_TOKEN)."
            )
        })
    }
}

/// The first that answers.
fn answering(known: &[Connection]) -> Option<&Connection> {
    known.iter().find(|one| Client::new((*one).clone()).answers())
}

/// By the server where there is one, else by one look at the account.
#[cfg(feature = "aws")]
async fn plan(session: &Session, asked: Plan) -> anyhow::Result<u8> {
    if asked.accounts.is_named() || !session.has_a_server() {
        return planned::plan(&asked.spec.file, &asked.accounts, session.json).await;
    }
    live::plan(session, &asked.spec.file).await
}

#[cfg(not(feature = "aws"))]
async fn plan(session: &Session, asked: Plan) -> anyhow::Result<u8> {
    live::plan(session, &asked.spec.file).await
}

/// By the server where there is one, else by tags.
#[cfg(feature = "aws")]
async fn destroy(session: &Session, asked: Destroy) -> anyhow::Result<u8> {
    if asked.accounts.is_named() || !session.has_a_server() {
        return alone::destroy(&asked.id, &asked.accounts, session.json).await;
    }
    live::destroy(session, &asked.id, asked.wait).await
}

#[cfg(not(feature = "aws"))]
async fn destroy(session: &Session, asked: Destroy) -> anyhow::Result<u8> {
    live::destroy(session, &asked.id, asked.wait).await
}

fn trying(asked: Try, json: bool) -> anyhow::Result<TryOptions> {
    let data_dir = match asked.data_dir {
        Some(dir) => dir,
        None => config::data_dir("try")?,
    };
    let browser = if asked.no_browser || json {
        Browser::Leave
    } else {
        Browser::Open
    };
    Ok(TryOptions {
        listen: asked.listen,
        data_dir,
        browser,
        json,
        load_per_s: asked.load,
    })
}

#[cfg(feature = "aws")]
async fn serving(asked: Serve, json: bool) -> anyhow::Result<()> {
    let config = asked
        .config
        .as_deref()
        .map(Config::read)
        .transpose()?
        .unwrap_or_default();
    let data_dir = match asked.data_dir.or(config.data_dir) {
        Some(dir) => dir,
        None => config::data_dir("serve")?,
    };
    crate::serve_mode::run(ServeOptions {
        listen: asked.listen.or(config.listen).unwrap_or(LISTEN),
        tools_listen: asked.tools_listen.or(config.tools_listen),
        tools_url: asked.tools_url.or(config.tools_url),
        data_dir,
        // Whoever reads it may stand elsewhere.
        config: asked.config.map(|path| std::path::absolute(&path).unwrap_or(path)),
        connections: Config::connections_or_environment(config.connections),
        pace: config.timing,
        json,
    })
    .await
}

/// What needs AWS and is not in this program, in three parts.
#[cfg(not(feature = "aws"))]
fn without_aws(what: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "This program was built without AWS, so it cannot {what}. Nothing was done. Build it with `cargo build --release`, \
         or use `arya try`, which needs none."
    )
}

#[cfg(not(feature = "aws"))]
async fn serving(_: Serve, _: bool) -> anyhow::Result<()> {
    Err(without_aws("serve"))
}

async fn sample() -> anyhow::Result<()> {
    let config = arya_local::sample::SampleConfig::from_env()?;
    arya_local::sample::run(config, tokio::io::stdin()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_server_that_was_killed_does_not_hide_the_one_that_answers() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = |address: SocketAddr| Connection {
            server: format!("http://{address}"),
            token: "t".into(),
        };
        let alive = at(listener.local_addr().unwrap());
        let gone = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let killed = at(gone.local_addr().unwrap());
        drop(gone);
        let one_answer = std::thread::spawn(move || {
            let (mut caller, _) = listener.accept().unwrap();
            let _ = std::io::Read::read(&mut caller, &mut [0; 1024]).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            std::io::Write::write_all(&mut caller, answer).unwrap();
        });
        let known = [killed, alive];
        assert_eq!(answering(&known).map(|one| &one.server), Some(&known[1].server));
        one_answer.join().unwrap();
        assert!(answering(&known[..1]).is_none());
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("30m", Some(1800)),
            ("2h", Some(7200)),
            ("5", Some(5)),
            ("m", None),
            ("200h", None),
            ("1d", None),
        ] {
            assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
