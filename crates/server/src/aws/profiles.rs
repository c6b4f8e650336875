//! The profiles of the standard files: their names and how each gets its credentials. No value of a key is kept, and none
//! is ever shown.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Files of people have some kilobytes.
const BYTES_MAX: u64 = 1024 * 1024;
/// Profiles that are shown.
const PROFILES_MAX: usize = 200;

/// One profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) region: Option<String>,
    pub(crate) means: Means,
}

/// How a profile gets its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Means {
    /// Nothing of the kinds below: the environment's, or another file's.
    Other,
    /// A key that never ends, written in a file.
    Keys,
    Process,
    Sso,
    Role,
    /// Asks for a code from a device, which a server cannot give.
    Mfa,
}

/// What the files of this user name, by name. A file that is not there names nothing.
pub(crate) fn profiles() -> Vec<Profile> {
    let file = |variable: &str, usual: &str| {
        let named = std::env::var_os(variable).map(PathBuf::from);
        named.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(usual)))
    };
    let text = |path: Option<PathBuf>| path.and_then(|path| read(&path)).unwrap_or_default();
    found(
        &text(file("AWS_CONFIG_FILE", ".aws/config")),
        &text(file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")),
    )
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Of the text of both files; the second names profiles without a word in front.
fn found(config: &str, credentials: &str) -> Vec<Profile> {
    let mut profiles: BTreeMap<String, Profile> = BTreeMap::new();
    read_into(config, &mut profiles, |section| {
        let named = section
            .strip_prefix("profile")
            .filter(|rest| rest.starts_with([' ', '\t']));
        named.map(str::trim).or((section == "default").then_some(section))
    });
    read_into(credentials, &mut profiles, whole);
    profiles.into_values().take(PROFILES_MAX).collect()
}

/// The name of a section that is nothing but a name.
fn whole(section: &str) -> Option<&str> {
    Some(section)
}

fn read_into(text: &str, profiles: &mut BTreeMap<String, Profile>, name: impl Fn(&str) -> Option<&str>) {
    let mut current: Option<String> = None;
    for line in text.lines() {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            current = name(section.trim()).map(str::to_owned);
            if let Some(name) = &current {
                profiles.entry(name.clone()).or_insert_with(|| Profile {
                    name: name.clone(),
                    region: None,
                    means: Means::Other,
                });
            }
            continue;
        }
        // What is indented belongs to the key above it.
        let Some((key, value)) = line
            .split_once('=')
            .filter(|_| !line.starts_with([' ', '\t', '#', ';']))
        else {
            continue;
        };
        if let Some(profile) = current.as_ref().and_then(|name| profiles.get_mut(name)) {
            take(profile, key.trim(), value.trim());
        }
    }
}

fn take(profile: &mut Profile, key: &str, value: &str) {
    let means = match key {
        "region" => {
            profile.region = Some(value.to_owned());
            return;
        }
        "mfa_serial" => Means::Mfa,
        "role_arn" => Means::Role,
        "sso_session" | "sso_start_url" => Means::Sso,
        "credential_process" => Means::Process,
        "aws_access_key_id" => Means::Keys,
        _ => return,
    };
    profile.means = profile.means.max(means);
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
[default]
region = eu-west-1
[profile prod]
sso_session = corp
region=us-east-1
s3 =
  region = nested
[sso-session corp]
sso_start_url = https://corp.example/start
[profile role]
role_arn = arn:aws:iam::1:role/x
source_profile = prod
[profile code]
role_arn = arn:aws:iam::1:role/x
mfa_serial = arn:aws:iam::1:mfa/ana
# [profile commented]
";
    const CREDENTIALS: &str = "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = s3cr3t\n[other]\n";

    #[test]
    fn profiles_are_named_with_their_means_and_never_with_a_key() {
        let found = found(CONFIG, CREDENTIALS);
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.name.as_str(), one.region.as_deref(), one.means))
            .collect();
        assert_eq!(
            told,
            [
                ("code", None, Means::Mfa),
                ("default", Some("eu-west-1"), Means::Keys),
                ("other", None, Means::Other),
                ("prod", Some("us-east-1"), Means::Sso),
                ("role", None, Means::Role),
            ]
        );
        let all = format!("{found:?}");
        assert!(!all.contains("AKIA") && !all.contains("s3cr3t"), "{all}");
    }

    #[test]
    fn no_file_names_nobody() {
        assert_eq!(found("", ""), []);
        assert_eq!(found("no section = here", "]["), []);
    }
}
