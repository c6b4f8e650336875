//! What ended deployments left behind on this server's disk. The worlds write it when a bucket goes; here it is read.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use arya_plan::identity::DeploymentId;
use arya_plan::left::{EXPORTS, LOG_BYTES_MAX, LOGS, Log, export_of, log_of};

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
}
