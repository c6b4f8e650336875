//! What ended deployments left behind on this server's disk. The worlds write it when a bucket goes; here it is read.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use arya_plan::identity::DeploymentId;
use arya_plan::left::{EXPORTS, LOG_BYTES_MAX, LOGS, Log, export_of, log_of};

/// Of everything together: some hundred long deployments, or thousands of short ones.
pub(crate) const TOTAL_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Where everything lies, in a folder of each deployment's id.
pub(crate) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("left")
}

/// The logs of a deployment that ended. Blocking.
///
/// # Errors
/// They cannot be read. None at all is no error: the deployment may have come to nothing.
pub(crate) fn logs(data_dir: &Path, id: &DeploymentId) -> io::Result<Vec<Log>> {
    let folder = folder(data_dir).join(id.to_string()).join(LOGS);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut logs = Vec::new();
    for entry in entries {
        let entry = entry?;
        let key = format!("{LOGS}/{}", entry.file_name().to_string_lossy());
        if let Some((place, incarnation)) = log_of(&key) {
            logs.push(Log {
                place,
                incarnation,
                bytes: end_of(&entry.path(), LOG_BYTES_MAX)?,
            });
        }
    }
    Ok(logs)
}

/// What the monitor of a deployment that ended had recorded; of several the last one's. Blocking.
pub(crate) fn export(data_dir: &Path, id: &DeploymentId) -> Option<PathBuf> {
    let entries = fs::read_dir(folder(data_dir).join(id.to_string()).join(EXPORTS)).ok()?;
    let named = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let key = format!("{EXPORTS}/{}", entry.file_name().to_string_lossy());
        Some((export_of(&key)?.1, entry.path()))
    });
    named.max().map(|(_, path)| path)
}

/// Removes what was left longest ago, a deployment at a time, until everything fits. Returns how many went. Blocking.
///
/// # Errors
/// Something cannot be read or removed.
pub(crate) fn keep_within(data_dir: &Path, limit: u64) -> io::Result<usize> {
    let entries = match fs::read_dir(folder(data_dir)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        // Whatever else lies here is somebody's own.
        let is_ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.parse::<DeploymentId>().is_ok());
        if is_ours && entry.file_type()?.is_dir() {
            let (bytes, at) = size_and_age(&entry.path())?;
            all.push((at, entry.path(), bytes));
        }
    }
    let mut total: u64 = all.iter().map(|(_, _, bytes)| bytes).sum();
    let mut removed = 0;
    all.sort();
    for (_, path, bytes) in all {
        if total <= limit {
            break;
        }
        fs::remove_dir_all(path)?;
        total -= bytes;
        removed += 1;
    }
    Ok(removed)
}

/// The bytes below a folder, and when the newest of them were written.
fn size_and_age(folder: &Path) -> io::Result<(u64, SystemTime)> {
    let (mut bytes, mut newest) = (0, fs::metadata(folder)?.modified()?);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let (more, at) = if metadata.is_dir() {
            size_and_age(&entry.path())?
        } else {
            (metadata.len(), metadata.modified()?)
        };
        bytes += more;
        newest = newest.max(at);
    }
    Ok((bytes, newest))
}

/// The last bytes of a file.
fn end_of(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let from = file.metadata()?.len().saturating_sub(limit);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use arya_plan::identity::{Place, Role};
    use arya_plan::left::log_key;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn of_several_exports_the_last_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let id = DeploymentId::new(Uuid::from_u128(7));
        assert_eq!(export(dir.path(), &id), None);
        let at = folder(dir.path()).join(id.to_string()).join(EXPORTS);
        fs::create_dir_all(&at).unwrap();
        for name in [
            "instance-monitor-0-9.tar.gz",
            "instance-monitor-0-10.tar.gz",
            "notes.tar.gz",
        ] {
            fs::write(at.join(name), "").unwrap();
        }
        assert_eq!(export(dir.path(), &id), Some(at.join("instance-monitor-0-10.tar.gz")));
    }

    #[test]
    fn logs_are_read_from_their_end_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let id = DeploymentId::new(Uuid::from_u128(7));
        assert_eq!(logs(dir.path(), &id).unwrap(), vec![]);
        let place = Place {
            role: Role::Canary,
            index: 0,
        };
        let at = folder(dir.path()).join(id.to_string());
        fs::create_dir_all(at.join(LOGS)).unwrap();
        let mut long = vec![b'x'; LOG_BYTES_MAX];
        long.extend(b"the end");
        fs::write(at.join(log_key(place, 2)), long).unwrap();
        fs::write(at.join("logs/notes.txt"), "somebody's own").unwrap();
        let read = logs(dir.path(), &id).unwrap();
        let [log] = &read[..] else { panic!("{}", read.len()) };
        assert_eq!((log.place, log.incarnation, log.bytes.len()), (place, 2, LOG_BYTES_MAX));
        assert!(log.bytes.ends_with(b"the end"));
    }

    /// Writes so many bytes of a deployment's, so long after the epoch.
    fn leave(dir: &Path, number: u128, bytes: usize, at_s: u64) -> PathBuf {
        let left = folder(dir).join(DeploymentId::new(Uuid::from_u128(number)).to_string());
        fs::create_dir_all(left.join(LOGS)).unwrap();
        let file = left.join(LOGS).join("instance-canary-0-1");
        fs::write(&file, vec![b'x'; bytes]).unwrap();
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(at_s);
        for path in [file, left.join(LOGS), left.clone()] {
            fs::File::open(path).unwrap().set_modified(at).unwrap();
        }
        left
    }

    #[test]
    fn above_the_limit_the_oldest_go_first_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(keep_within(dir.path(), 0).unwrap(), 0);
        let newest = leave(dir.path(), 1, 40, 300);
        let oldest = leave(dir.path(), 2, 40, 100);
        let middle = leave(dir.path(), 3, 40, 200);
        let own = folder(dir.path()).join("notes");
        fs::create_dir(&own).unwrap();
        assert_eq!(keep_within(dir.path(), 120).unwrap(), 0);
        assert_eq!(keep_within(dir.path(), 119).unwrap(), 1);
        let there = || [&oldest, &middle, &newest, &own].map(|path| path.exists());
        assert_eq!(there(), [false, true, true, true]);
        assert_eq!(keep_within(dir.path(), 0).unwrap(), 2);
        assert_eq!(there(), [false, false, false, true]);
    }
}
