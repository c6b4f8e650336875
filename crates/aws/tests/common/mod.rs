//! What both accounts of the tests have alike: a small spec with its files, planned in front of the default rule, and that
//! nobody measures.

pub(crate) mod cbor;
pub(crate) mod live;
pub(crate) mod told;

use std::ops::RangeInclusive;
use std::path::Path;

use arya_judge::source::{MetricSource, SourceError};
use arya_judge::{Evidence, MetricConfig, Timestamp};
use arya_plan::desired::{Desired, OurGroupSettings, Placement, ProbeSecret};
use arya_plan::identity::{DeploymentId, InstallationId};
use arya_plan::listener::compose::{in_front_of, site_digest, slots_before};
use arya_plan::listener::{Protocol, Site};
use arya_plan::spec::{Digest, Spec};
use serde_json::json;
use uuid::Uuid;

/// How large an image is: one call, or parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    Small,
    InParts,
}

impl Files {
    const fn image_bytes(self) -> usize {
        match self {
            Self::Small => 1_000,
            Self::InParts => 9 * 1024 * 1024,
        }
    }
}

const COMPOSE: &[u8] = b"services:\n  web: {image: \"shop:1\", ports: [\"8080:8080\"]}\n";

pub(crate) fn installation() -> InstallationId {
    InstallationId::new(Uuid::from_u128(7))
}

pub(crate) fn store(dir: &Path, bytes: &[u8]) -> Digest {
    let digest = Digest::of(bytes);
    std::fs::write(dir.join(digest.hex()), bytes).unwrap();
    digest
}

pub(crate) fn spec(dir: &Path, listener: &str, files: Files) -> Spec {
    let document = json!({
        "name": "shop-next",
        "listener": listener,
        "canary_percent": 5,
        "app": {"port": 8080, "health_check_path": "/health"},
        "exporters": [{"job": "node", "port": 9100}],
        "monitor": {"allow_cidrs": ["10.0.0.0/8"]},
        "instances": {"tags": {"team": "shop"}},
        "baseline": {"image": store(dir, &vec![b'b'; files.image_bytes()]), "compose": store(dir, COMPOSE)},
        "canary": {"image": store(dir, b"small canary"), "compose": store(dir, COMPOSE)},
    });
    Spec::parse(&document).unwrap()
}

pub(crate) fn desired(spec: Spec, site: &Site) -> Desired {
    let chosen = site.default_rule().unwrap();
    let composed = in_front_of(chosen, &spec.conditions).unwrap();
    let placement = Placement {
        chosen: chosen.id.clone(),
        slots: slots_before(site, chosen).unwrap(),
        site_digest: site_digest(site, chosen, &composed),
        composed,
        production: chosen.forward().unwrap().groups.clone(),
        group: OurGroupSettings {
            protocol: Protocol::Http,
            port: spec.app.port,
            health_check_path: spec.app.health_check_path.clone(),
            deregistration_delay_s: 30,
        },
        probe_secret: ProbeSecret::new("only-for-probes"),
    };
    let id = DeploymentId::new(Uuid::new_v4());
    Desired::begun(id, installation(), spec, placement, Timestamp::now())
}

/// Nobody measures here.
#[derive(Debug)]
pub(crate) struct Silence;

impl MetricSource for Silence {
    async fn evidence(&self, _: &str, _: &MetricConfig, _: RangeInclusive<Timestamp>) -> Result<Evidence, SourceError> {
        Err(SourceError::NoData {
            what: "nobody measures here".into(),
        })
    }
}
