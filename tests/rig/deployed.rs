//! What an app instance is told to run: the sample service in an archive of ours, its compose file, its settings.

use std::time::{Duration, Instant};

use arya_plan::identity::Role;
use arya_plan::listener::Protocol;
use arya_plan::observed::{BootPhase, Status};
use arya_plan::spec::{App, WarmUp};
use arya_plan::user_data::{Birth, Patience, Settings, Urls, user_data};
use serde_json::Value;

use crate::bucket::{Bucket, Version};
use crate::{machine, sample};

pub(crate) use sample::PORT;
/// What runs on an instance alone.
const VERSION: &str = "1.0";
pub(crate) const URLS: &str = "urls/canary-0-1";
pub(crate) const STATUS: &str = "status/canary-0-1.json";
pub(crate) const LOGS: &str = "logs/canary-0-1.txt";

/// Shorter than on EC2, so that what fails fails within a test.
pub(crate) const PATIENCE: Patience = Patience {
    packages: Duration::from_secs(240),
    fetch: Duration::from_secs(40),
    up: Duration::from_secs(20),
    warm: Duration::from_secs(20),
};

/// One instance's order, to be changed before it is launched.
pub(crate) struct Order {
    pub(crate) bucket: Bucket,
    pub(crate) role: Role,
    pub(crate) settings: Settings,
    pub(crate) urls: Urls,
    pub(crate) ends_in: Duration,
    pub(crate) http_proxy: Option<String>,
    pub(crate) image: Vec<u8>,
}

impl Order {
    /// A healthy one, complete but for the image archive, whose upload still runs.
    pub(crate) fn new() -> Self {
        let bucket = Bucket::open(machine::bridge());
        let image = sample::image(VERSION, &[]);
        let compose = compose_file();
        bucket.store("compose", compose.as_bytes());
        let settings = Settings {
            app: App {
                port: PORT,
                protocol: Protocol::Http,
                health_check_path: "/health".into(),
                warm_up: WarmUp::default(),
                version_path: None,
            },
            patience: PATIENCE,
            image: Some(bucket.object("image", &image).into()),
            compose: Some(bucket.object("compose", compose.as_bytes())),
            written: vec![],
            app_service: "web".into(),
            services: vec!["web".into()],
            env_file: None,
            env_from: vec![],
            aws_endpoint: None,
            files: vec![],
            later: vec![],
            urls: bucket.sign("GET", URLS),
            referee: None,
        };
        let urls = Urls {
            these: bucket.sign("GET", URLS),
            status: bucket.sign("PUT", STATUS),
            logs: bucket.sign("PUT", LOGS),
            targets: None,
            export: None,
            evidence: None,
        };
        Self {
            bucket,
            role: Role::Canary,
            settings,
            urls,
            ends_in: Duration::from_secs(3600),
            http_proxy: None,
            image,
        }
    }

    pub(crate) fn upload_image(&self) {
        self.bucket.store("image", self.image.clone());
    }

    /// Another compose file than the sample's.
    pub(crate) fn compose(&mut self, text: &str) {
        self.bucket.store("compose", text);
        self.settings.compose = Some(self.bucket.object("compose", text.as_bytes()));
    }

    /// The bytes that the instance boots with.
    pub(crate) fn user_data(&self) -> Vec<u8> {
        let settings = self.settings.bytes().unwrap();
        self.bucket.store("settings", settings.clone());
        self.bucket.store(URLS, self.urls.bytes());
        let birth = Birth {
            role: self.role,
            instance_type: "t3.medium".into(),
            ends_at: jiff::Timestamp::now() + self.ends_in,
            status: self.bucket.sign("PUT", STATUS),
            settings: self.bucket.object("settings", &settings),
            http_proxy: self.http_proxy.clone(),
        };
        user_data(&birth, &PATIENCE).unwrap()
    }

    /// Waits until the instance reports a phase. Another than `failed` must come without a failure before it.
    #[track_caller]
    pub(crate) fn wait_for(&self, phase: BootPhase, limit: Duration) -> (Instant, Value) {
        self.wait_for_again(phase, 1, limit)
    }

    /// The same for the so-manyeth time, after reboots.
    #[track_caller]
    pub(crate) fn wait_for_again(&self, phase: BootPhase, times: usize, limit: Duration) -> (Instant, Value) {
        let reported = self.bucket.wait_for(STATUS, limit, |versions| {
            let failed = versions
                .iter()
                .find(|version| status(version).phase == BootPhase::Failed);
            let mut as_wanted = versions.iter().filter(|version| status(version).phase == phase);
            failed.or_else(|| as_wanted.nth(times - 1)).cloned()
        });
        let version = reported.unwrap_or_else(|| panic!("no {} within {limit:?}", phase.as_str()));
        assert_eq!(status(&version).phase, phase, "{}", version.text());
        (version.at, serde_json::from_slice(&version.bytes).unwrap())
    }

    /// Every report so far, as the engine reads them.
    pub(crate) fn reports(&self) -> Vec<Status> {
        self.bucket.versions(STATUS).iter().map(status).collect()
    }

    pub(crate) fn phases(&self) -> Vec<BootPhase> {
        self.reports().iter().map(|report| report.phase).collect()
    }
}

/// A status document must be one for the program too.
fn status(version: &Version) -> Status {
    serde_json::from_slice(&version.bytes).unwrap_or_else(|error| panic!("{error}: {}", version.text()))
}

pub(crate) fn compose_file() -> String {
    sample::compose_file(VERSION)
}
