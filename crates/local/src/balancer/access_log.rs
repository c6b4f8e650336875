//! The access log in the format of an Application Load Balancer, one line a request.
//!
//! Requests only append to a buffer in memory; one task writes it out, so that a slow disk delays nobody.

mod line;

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::settings::AccessLogSettings;
pub(super) use line::{Entry, Sizes, Times};

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

impl AccessLog {
    pub(super) fn write(&self, entry: &Entry<'_>) {
        thread_local! {
            static LINE: RefCell<String> = const { RefCell::new(String::new()) };
        }
        // Formed outside the lock, which all threads share, and in a buffer that is not allocated again.
        LINE.with_borrow_mut(|line| {
            line.clear();
            entry.append_to(line);
            line.push('\n');
            self.append(line);
        });
    }

    fn append(&self, line: &str) {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.lines.len() >= BUFFER_MAX_BYTES {
            buffer.dropped += 1;
            return;
        }
        let before = buffer.lines.len();
        buffer.lines.push_str(line);
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
