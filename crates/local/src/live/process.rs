//! One child process: its start, its published address, the end of its output, its orderly end.
//!
//! Knows programs and pipes only; never a deployment, a phase or the balancer.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arya_plan::left::LOG_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

/// How much of the output goes into a status document, in bytes. Fits it and a screen.
pub(super) const TAIL_LIMIT: usize = 2 * 1024;
/// An app that has not bound its port after this long is not coming up; the sample needs some milliseconds.
pub(super) const ADDRESS_WITHIN: Duration = Duration::from_secs(15);
/// How long an app may take to end once its control channel is closed; then it is killed.
pub(super) const END_WITHIN: Duration = Duration::from_secs(3);
/// A control line is some tens of bytes; an app that does not read its control channel must not hold us up.
const TELL_WITHIN: Duration = Duration::from_secs(1);
/// How often the address file is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// After the exit the pipes are read to their ends; a grandchild that keeps them open is not waited for.
const OUTPUT_WITHIN: Duration = Duration::from_millis(500);
/// A freshly unpacked program is *busy* while another child, forked at the same moment, still holds its descriptor
/// open for writing; that child closes it when it executes, within milliseconds.
const BUSY_TRIES: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// What to start. Not for `Debug`: the environment may hold secrets.
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub(super) environment: Vec<(String, String)>,
    pub(super) working_dir: PathBuf,
    /// Where the app writes the address that it listens on.
    pub(super) address_file: PathBuf,
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    control: Option<ChildStdin>,
    address_file: PathBuf,
    output: Output,
    readers: TaskTracker,
}

/// The last bytes of standard output and standard error together, in the order of arrival. Clones are the same output,
/// and outlive the process.
#[derive(Debug, Clone, Default)]
pub(super) struct Output(Arc<Mutex<VecDeque<u8>>>);

impl Output {
    fn push(&self, bytes: &[u8]) {
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        output.extend(bytes);
        let excess = output.len().saturating_sub(LOG_BYTES_MAX);
        output.drain(..excess);
    }

    /// As many bytes of its end.
    fn last(&self, limit: usize) -> Vec<u8> {
        let output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = output.len().saturating_sub(limit);
        output.range(from..).copied().collect()
    }

    /// All that is remembered.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.last(LOG_BYTES_MAX)
    }
}

async fn remember(mut from: impl AsyncRead + Unpin, output: Output) {
    let mut buffer = [0; TAIL_LIMIT];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        output.push(&buffer[..read]);
    }
}

impl Process {
    /// Starts the program with its standard input as control channel. What it prints is remembered in `output`.
    pub(super) async fn start(launch: &Launch, output: Output) -> io::Result<Self> {
        let mut child = spawn(launch).await?;
        let readers = TaskTracker::new();
        if let Some(out) = child.stdout.take() {
            readers.spawn(remember(out, output.clone()));
        }
        if let Some(err) = child.stderr.take() {
            readers.spawn(remember(err, output.clone()));
        }
        readers.close();
        let control = child.stdin.take();
        Ok(Self {
            child,
            control,
            address_file: launch.address_file.clone(),
            output,
            readers,
        })
    }

    /// The address that the app says it listens on.
    pub(super) async fn address(&mut self) -> Result<SocketAddr, String> {
        let deadline = Instant::now() + ADDRESS_WITHIN;
        loop {
            if let Ok(text) = tokio::fs::read_to_string(&self.address_file).await
                && let Ok(address) = text.trim().parse()
            {
                return Ok(address);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("The app ended at once ({status})."));
            }
            if Instant::now() >= deadline {
                return Err(format!("The app did not listen within {} s.", ADDRESS_WITHIN.as_secs()));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Writes one line to the control channel.
    pub(super) async fn tell(&mut self, line: &str) -> io::Result<()> {
        let Some(control) = &mut self.control else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let line = format!("{line}\n");
        timeout(TELL_WITHIN, control.write_all(line.as_bytes()))
            .await
            .map_err(|_| ErrorKind::TimedOut)?
    }

    /// Returns when the process is gone; may be called again.
    pub(super) async fn exited(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        let _ = timeout(OUTPUT_WITHIN, self.readers.wait()).await;
        status
    }

    /// The last of what it printed.
    pub(super) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.output.last(TAIL_LIMIT)).trim().to_owned()
    }

    /// Kills it; [`Process::exited`] tells when it is gone.
    pub(super) fn kill(&mut self) {
        // Fails only where it is gone already.
        let _ = self.child.start_kill();
    }

    /// Closes the control channel, which ends the app; after [`END_WITHIN`] it is killed. Returns when it is gone.
    pub(super) async fn end(mut self) {
        self.control = None;
        if timeout(END_WITHIN, self.child.wait()).await.is_err() {
            tracing::warn!(
                id = self.child.id(),
                "an app did not end when its control channel closed; it is killed"
            );
            let _ = self.child.kill().await;
        }
        // Its last words are part of its log.
        let _ = timeout(OUTPUT_WITHIN, self.readers.wait()).await;
    }
}

async fn spawn(launch: &Launch) -> io::Result<Child> {
    let mut tries = 0;
    loop {
        let started = Command::new(&launch.program)
            .args(&launch.arguments)
            .env_clear()
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&launch.working_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        match started {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                sleep(BUSY_PAUSE).await;
            }
            started => return started,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dir: &std::path::Path) -> Launch {
        Launch {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![
                ("ANSWER".into(), "42".into()),
                ("FILE".into(), dir.join("address").display().to_string()),
            ],
            working_dir: dir.to_owned(),
            address_file: dir.join("address"),
        }
    }

    async fn check(script: &str, expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start(&shell(script, dir.path()), Output::default())
            .await
            .unwrap();
        process.exited().await.unwrap();
        assert_eq!(process.tail(), expected, "{script}");
    }

    #[tokio::test]
    async fn the_tail_holds_both_outputs_and_only_the_end() {
        check("echo out; exec 1>&2; echo err", "out\nerr").await;
        check("echo $ANSWER$HOME", "42").await;
        let long = "i=0; while [ $i -lt 900 ]; do echo $i 123456; i=$((i+1)); done; printf the-end";
        let dir = tempfile::tempdir().unwrap();
        let output = Output::default();
        let mut process = Process::start(&shell(long, dir.path()), output.clone()).await.unwrap();
        process.exited().await.unwrap();
        let tail = process.tail();
        assert!(tail.len() <= TAIL_LIMIT && tail.ends_with("the-end"), "{tail}");
        assert!(
            output.bytes().starts_with(b"0 123456\n1 123456\n"),
            "the log holds more"
        );
    }

    #[tokio::test]
    async fn the_address_is_what_the_app_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let script = r#"echo 127.0.0.1:4711 > "$FILE"; read line"#;
        let mut process = Process::start(&shell(script, dir.path()), Output::default())
            .await
            .unwrap();
        assert_eq!(process.address().await, Ok("127.0.0.1:4711".parse().unwrap()));
        process.end().await;
    }

    #[tokio::test]
    async fn an_app_that_ends_at_once_has_no_address() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start(&shell("exit 3", dir.path()), Output::default())
            .await
            .unwrap();
        assert!(process.address().await.unwrap_err().contains("ended at once"));
    }

    #[tokio::test]
    async fn a_control_line_arrives_and_the_closed_channel_ends_the_app() {
        let dir = tempfile::tempdir().unwrap();
        let script = r#"while read line; do echo "got $line" > heard; done; echo over > ended"#;
        let mut process = Process::start(&shell(script, dir.path()), Output::default())
            .await
            .unwrap();
        process.tell("{}").await.unwrap();
        process.end().await;
        let read = |name| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!((read("heard").as_str(), read("ended").as_str()), ("got {}\n", "over\n"));
    }
}
