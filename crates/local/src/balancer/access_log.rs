//! The access log in the format of an Application Load Balancer, one line a request.
//!
//! Requests only append to a buffer in memory; one task writes it out, so that a slow disk delays nobody.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::settings::AccessLogSettings;

/// A line waits at most so long before it is in the file.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// From here on the buffer is written at once.
const WRITE_FROM_BYTES: usize = 64 * 1024;
/// Some 10,000 lines. Beyond it lines are dropped and counted: a full disk must not become full memory.
const BUFFER_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Where lines wait to be written.
#[derive(Debug, Default)]
pub(super) struct AccessLog {
    buffer: Mutex<Buffer>,
    full: Notify,
}

#[derive(Debug, Default)]
struct Buffer {
    lines: String,
    dropped: u64,
}

/// Everything a line tells. AWS's order and words; `-` stands for what a request did not have.
#[derive(Debug)]
pub(super) struct Entry<'e> {
    pub(super) time: Timestamp,
    pub(super) created: Timestamp,
    pub(super) name: &'e str,
    pub(super) client: SocketAddr,
    pub(super) target: Option<SocketAddr>,
    pub(super) times: Times,
    pub(super) elb_status: u16,
    pub(super) target_status: Option<u16>,
    pub(super) sizes: Sizes,
    pub(super) request: &'e str,
    pub(super) user_agent: &'e str,
    pub(super) group: Option<&'e str>,
    pub(super) trace: &'e str,
    pub(super) domain: &'e str,
    pub(super) rule: Option<u16>,
    pub(super) action: &'e str,
    pub(super) redirect: Option<&'e str>,
    pub(super) error: Option<&'static str>,
    pub(super) connection_id: u128,
}

/// To the target, at the target, back to the client; `None` is written as -1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) request: Option<Duration>,
    pub(super) target: Option<Duration>,
    pub(super) response: Option<Duration>,
}

/// Bytes with heads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) received: u64,
    pub(super) sent: u64,
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "http {:.6} {} {} {} ",
            self.time,
            self.name,
            self.client,
            Dash(self.target)
        )?;
        for time in [self.times.request, self.times.target, self.times.response] {
            match time {
                Some(time) => write!(f, "{:.3} ", time.as_secs_f64())?,
                None => f.write_str("-1 ")?,
            }
        }
        write!(f, "{} {} ", self.elb_status, Dash(self.target_status))?;
        write!(f, "{} {} ", self.sizes.received, self.sizes.sent)?;
        // No TLS here: cipher, protocol and certificate are always absent.
        write!(
            f,
            "{} {} - - {} ",
            Quoted(self.request),
            Quoted(self.user_agent),
            Dash(self.group)
        )?;
        write!(f, "{} {} \"-\" ", Quoted(self.trace), Quoted(self.domain))?;
        write!(f, "{} {:.6} {} ", Dash(self.rule), self.created, Quoted(self.action))?;
        write!(
            f,
            "{} {} ",
            Quoted(self.redirect.unwrap_or("-")),
            Quoted(self.error.unwrap_or("-"))
        )?;
        write!(
            f,
            "\"{}\" \"{}\" \"-\" \"-\" ",
            Dash(self.target),
            Dash(self.target_status)
        )?;
        write!(f, "TID_{:032x}", self.connection_id)
    }
}

struct Dash<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Dash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// In double quotes, with what would end or break the field as `\xHH`, which is how AWS writes it.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\x{:02X}", c as u32)?,
                c if c.is_ascii_control() => write!(f, "\\x{:02X}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

impl AccessLog {
    pub(super) fn write(&self, entry: &Entry<'_>) {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.lines.len() >= BUFFER_MAX_BYTES {
            buffer.dropped += 1;
            return;
        }
        let before = buffer.lines.len();
        writeln!(buffer.lines, "{entry}").expect("a String takes every write");
        if before < WRITE_FROM_BYTES && buffer.lines.len() >= WRITE_FROM_BYTES {
            self.full.notify_one();
        }
    }

    /// Writes lines out until `end`, and then what is left.
    pub(super) async fn keep_writing(self: Arc<Self>, settings: AccessLogSettings, end: CancellationToken) {
        let mut files = Files {
            settings,
            current: None,
        };
        loop {
            let ended = tokio::select! {
                () = end.cancelled() => true,
                () = self.full.notified() => false,
                () = tokio::time::sleep(WRITE_EVERY) => false,
            };
            let Buffer { lines, dropped } =
                std::mem::take(&mut *self.buffer.lock().unwrap_or_else(PoisonError::into_inner));
            if dropped > 0 {
                tracing::warn!(
                    dropped,
                    "the access log could not be written fast enough; lines are missing"
                );
            }
            if !lines.is_empty() {
                let writing = tokio::task::spawn_blocking(move || {
                    let written = files.write(lines.as_bytes());
                    (files, written)
                });
                // A panic while writing loses the log, not the balancer.
                let Ok((back, written)) = writing.await else { return };
                files = back;
                if let Err(error) = written {
                    tracing::warn!(%error, path = %files.settings.path.display(), "the access log cannot be written");
                }
            }
            if ended {
                return;
            }
        }
    }
}

struct Files {
    settings: AccessLogSettings,
    current: Option<(File, u64)>,
}

impl Files {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if matches!(&self.current, Some((_, size)) if *size >= self.settings.bytes_per_file) {
            self.current = None;
            self.turn_over()?;
        }
        if self.current.is_none() {
            let file = OpenOptions::new().create(true).append(true).open(&self.settings.path)?;
            let size = file.metadata()?.len();
            self.current = Some((file, size));
        }
        let Some((file, size)) = &mut self.current else {
            return Ok(());
        };
        file.write_all(lines)?;
        *size += lines.len() as u64;
        Ok(())
    }

    fn turn_over(&self) -> io::Result<()> {
        let numbered = |number: u32| match number {
            0 => self.settings.path.clone(),
            number => {
                let mut name = self.settings.path.clone().into_os_string();
                name.push(format!(".{number}"));
                PathBuf::from(name)
            }
        };
        let last = self.settings.files.saturating_sub(1);
        if last == 0 {
            return std::fs::remove_file(numbered(0));
        }
        for number in (0..last).rev() {
            match std::fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(request: &str) -> Entry<'_> {
        Entry {
            time: "2026-01-02T03:04:05.250000Z".parse().unwrap(),
            created: "2026-01-02T03:04:05Z".parse().unwrap(),
            name: "app/try/1",
            client: "10.0.0.7:5000".parse().unwrap(),
            target: Some("10.0.1.1:8080".parse().unwrap()),
            times: Times {
                request: Some(Duration::from_micros(400)),
                target: Some(Duration::from_millis(12)),
                response: None,
            },
            elb_status: 200,
            target_status: Some(200),
            sizes: Sizes {
                received: 34,
                sent: 366,
            },
            request,
            user_agent: "curl/8",
            group: Some("canary"),
            trace: "Root=1-0-1",
            domain: "shop",
            rule: Some(7),
            action: "forward",
            redirect: None,
            error: None,
            connection_id: 255,
        }
    }

    #[test]
    fn a_line_has_every_field_in_awss_order() {
        let expected = concat!(
            "http 2026-01-02T03:04:05.250000Z app/try/1 10.0.0.7:5000 10.0.1.1:8080 0.000 0.012 -1 200 200 34 366 ",
            "\"GET http://shop/ HTTP/1.1\" \"curl/8\" - - canary \"Root=1-0-1\" \"shop\" \"-\" 7 ",
            "2026-01-02T03:04:05.000000Z \"forward\" \"-\" \"-\" \"10.0.1.1:8080\" \"200\" \"-\" \"-\" ",
            "TID_000000000000000000000000000000ff",
        );
        assert_eq!(entry("GET http://shop/ HTTP/1.1").to_string(), expected);
    }

    #[test]
    fn quotes_and_control_characters_cannot_break_a_field() {
        let line = entry("GET /\"x\\\n HTTP/1.1").to_string();
        assert!(line.contains(r#""GET /\x22x\x5C\x0A HTTP/1.1""#), "{line}");
    }

    #[test]
    fn full_files_are_turned_over_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let settings = AccessLogSettings {
            path: path.clone(),
            bytes_per_file: 4,
            files: 2,
        };
        let mut files = Files {
            settings,
            current: None,
        };
        for line in ["one\n", "two\n", "three\n"] {
            files.write(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(
            std::fs::read_to_string(folder.path().join("access.log.1")).unwrap(),
            "two\n"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
