//! On a real account: `cargo xtask live`, see docs/real-aws-checklist.md.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "an account of one's own needs no model of one")]
mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use arya_aws::{AwsSettings, ConnectionSettings, DoorKey};
use arya_plan::spec::{Digest, Spec};
use arya_plan::timing::Timing;
use serde_json::Value;

use common::live::{Asked, live};

/// An instance boots in two to four minutes, and ends in two.
const WITHIN: Duration = Duration::from_secs(20 * 60);

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set. Nothing was done. See docs/real-aws-checklist.md."))
}

/// Puts a file where the adapter looks for it, and gives its digest.
fn stored(file: &Path, artifacts: &Path) -> Digest {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}. Nothing was done.", file.display()));
    let digest = Digest::of(&bytes);
    std::fs::write(artifacts.join(digest.hex()), bytes).unwrap();
    digest
}

/// The spec, in which files stand for their digests.
fn spec(file: &Path, artifacts: &Path) -> Spec {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let folder = file.parent().unwrap_or(Path::new("."));
    for arm in ["baseline", "canary"] {
        for what in ["image", "compose"] {
            let named = document[arm][what].as_str().unwrap_or_default().to_owned();
            document[arm][what] = stored(&folder.join(named), artifacts).as_str().into();
        }
    }
    Spec::parse(&document).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_lives_and_leaves_nothing() {
    let account = variable("ARYA_LIVE_ACCOUNT");
    let artifacts = tempfile::TempDir::new().unwrap();
    let spec = spec(&PathBuf::from(variable("ARYA_LIVE_SPEC")), artifacts.path());
    let settings = AwsSettings {
        connection: ConnectionSettings::default(),
        installation: common::installation(),
        artifacts_dir: artifacts.path().to_owned(),
        left_dir: None,
        image_owner: None,
        door_key: DoorKey::new(*Digest::of(account.as_bytes()).hex().as_bytes().first_chunk().unwrap()),
    };
    let asked = Asked {
        account,
        spec,
        timing: Timing::AWS,
        within: WITHIN,
    };
    if let Err(wrong) = live(settings, asked, async || ()).await {
        panic!("{wrong}");
    }
}
