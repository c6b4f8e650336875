//! Volumes of a service in their short and long forms. Must never know services.

use serde_json::{Map, Value};

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A volume with a name: data that outlives the container, and does not exist beside a fresh twin.
    Named(String),
    /// A path of the host, as written.
    Bind(String),
    /// A volume without a name, which goes with its container.
    Anonymous,
    /// Memory.
    Tmpfs,
    /// Of a kind that this version does not know, such as `npipe` or `cluster`.
    Other(String),
}

/// One entry of `volumes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub source: MountSource,
    /// Absolute path in the container.
    pub target: String,
    pub read_only: bool,
}

impl Mount {
    /// `[SOURCE:]TARGET[:MODE]`.
    pub(super) fn short(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split(':').collect();
        let (source, target, mode) = match parts[..] {
            [target] => (None, target, ""),
            [source, target] => (Some(source), target, ""),
            [source, target, mode] => (Some(source), target, mode),
            _ => return Err(format!("has `{text}`, which is not `SOURCE:TARGET:MODE`")),
        };
        let source = match source {
            None => MountSource::Anonymous,
            Some("") => return Err(format!("has `{text}`, which names no source")),
            Some(path) if path.starts_with(['.', '/', '~']) => MountSource::Bind(path.to_owned()),
            Some(name) => MountSource::Named(name.to_owned()),
        };
        let read_only = mode.split(',').any(|word| word == "ro");
        Self {
            source,
            target: target.to_owned(),
            read_only,
        }
        .checked()
    }

    /// `{type, source, target, read_only, …}`.
    pub(super) fn long(map: &Map<String, Value>) -> Result<Self, String> {
        let text = |key: &str| match map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("has a `{key}` that is not text")),
        };
        let kind = text("type")?.unwrap_or_else(|| "volume".to_owned());
        let source = text("source")?.or(text("src")?).filter(|source| !source.is_empty());
        let target = text("target")?
            .or(text("dst")?)
            .or(text("destination")?)
            .unwrap_or_default();
        let source = match (kind.as_str(), source) {
            ("volume", Some(name)) => MountSource::Named(name),
            ("volume", None) => MountSource::Anonymous,
            ("bind", Some(path)) => MountSource::Bind(path),
            ("bind", None) => return Err("is a bind mount that names no `source`".to_owned()),
            ("tmpfs", _) => MountSource::Tmpfs,
            (other, _) => MountSource::Other(other.to_owned()),
        };
        let read_only = matches!(map.get("read_only"), Some(Value::Bool(true)));
        Self {
            source,
            target,
            read_only,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, String> {
        if self.target.starts_with('/') {
            Ok(self)
        } else {
            Err(format!("mounts to `{}`, which is no absolute path", self.target))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, source: MountSource, target: &str, read_only: bool) {
        assert_eq!(
            Mount::short(text).unwrap(),
            Mount {
                source,
                target: target.to_owned(),
                read_only
            },
            "{text}"
        );
    }

    #[test]
    fn short_forms_are_read() {
        check("/data", MountSource::Anonymous, "/data", false);
        check(
            "pgdata:/var/lib/pg",
            MountSource::Named("pgdata".to_owned()),
            "/var/lib/pg",
            false,
        );
        check("./conf:/conf:ro", MountSource::Bind("./conf".to_owned()), "/conf", true);
        check("/etc/x:/x:ro,z", MountSource::Bind("/etc/x".to_owned()), "/x", true);
        check("~/x:/x", MountSource::Bind("~/x".to_owned()), "/x", false);
    }

    #[test]
    fn odd_mounts_are_refused() {
        for text in ["", ":", ":/x", "a:", "a:b", "relative", "a:/b:c:d"] {
            assert!(Mount::short(text).is_err(), "{text}");
        }
    }

    #[test]
    fn long_forms_are_read() {
        let long = |json: Value| Mount::long(json.as_object().unwrap());
        let bind =
            long(serde_json::json!({"type": "bind", "source": "./a", "target": "/a", "read_only": true})).unwrap();
        assert_eq!(
            (bind.source, bind.read_only),
            (MountSource::Bind("./a".to_owned()), true)
        );
        let tmpfs = long(serde_json::json!({"type": "tmpfs", "target": "/run"})).unwrap();
        assert_eq!(tmpfs.source, MountSource::Tmpfs);
        let named = long(serde_json::json!({"type": "volume", "source": "v", "target": "/v"})).unwrap();
        assert_eq!(named.source, MountSource::Named("v".to_owned()));
        assert!(long(serde_json::json!({"type": "bind", "target": "/v"})).is_err());
        assert!(long(serde_json::json!({"type": "volume", "source": 3, "target": "/v"})).is_err());
    }
}
