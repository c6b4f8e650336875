//! A plan without a server: files are read where they lie, the account is looked at once, and nothing is kept.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use arya_aws::AwsCloud;
use arya_engine::Clock;
use arya_plan::cloud::Cloud as _;
use arya_plan::desired::ProbeSecret;
use arya_plan::identity::DeploymentId;
use arya_plan::preview::{PreviewRequest, preview};
use arya_plan::problem::Problem;
use arya_plan::spec::{Digest, SAME_AS_PRODUCTION, Spec};
use arya_plan::surroundings::Surroundings;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::alone::Where;
use super::{live, spec_file};
use crate::api::documents::PlanDocument;
use crate::artifacts::Artifacts;
use crate::aws::{ConnectionConfig, Shared, capabilities};

/// Read at once of a file that is digested.
const CHUNK: usize = 256 * 1024;

/// Makes the plan for a spec and shows it.
pub(super) async fn plan(file: &Path, accounts: &Where, as_json: bool) -> anyhow::Result<u8> {
    let (connections, pace) = accounts.read()?;
    let folder = tempfile::tempdir().context("There is no room for reading the files. Nothing was done")?;
    let (spec, artifacts) = read(file, folder.path().to_owned()).await?;
    let connection = named(&connections, &spec.connection)?;
    let shared = Shared::of_nobody();
    let cloud = AwsCloud::connect(shared.settings(connection)).await?;
    let sites = cloud.discover().await?;
    let (mut resolved, mut around, mut unresolved) = (spec.clone(), Surroundings::default(), None);
    if let Some(site) = sites.iter().find(|site| site.listener == spec.listener) {
        match cloud.resolve(&spec).await {
            Ok(without_words) => resolved = without_words,
            Err(error) => unresolved = Some(Problem::blocks(SAME_AS_PRODUCTION, error.what, error.next)),
        }
        around = cloud.surroundings(&resolved, site).await?;
    }
    let now = Clock::system().now();
    let work = move || {
        let files = artifacts.facts(resolved.digests(), now.into());
        let mut made = preview(&PreviewRequest {
            id: DeploymentId::new(Uuid::new_v4()),
            installation: shared.installation,
            spec: &resolved,
            sites: &sites,
            surroundings: &around,
            files: &files,
            capabilities: &capabilities(&resolved.instances.instance_type),
            harmful_before: &[],
            live: &[],
            probe_secret: ProbeSecret::new(""),
            traffic_per_s: None,
            now,
            timing: &pace.timing(),
        });
        if let Some(problem) = unresolved {
            made.problems.push(problem.at("instances"));
            made.desired = None;
        }
        PlanDocument::of(&made, &resolved.acknowledged, now)
    };
    let document = tokio::task::spawn_blocking(work).await?;
    live::show_plan(&serde_json::to_value(&document)?, as_json)
}

/// The spec with the digests of its files, which lie in a store that goes with its folder.
async fn read(file: &Path, folder: PathBuf) -> anyhow::Result<(Spec, Artifacts)> {
    let file = file.to_owned();
    let work = move || {
        let artifacts = Artifacts::open(&folder)?;
        let document = spec_file::with_digests(&file, |named, _| take_in(&artifacts, named))?;
        let spec = Spec::parse(&document).map_err(|error| anyhow::anyhow!("{} {}", error.sentence, error.next))?;
        anyhow::Ok((spec, artifacts))
    };
    tokio::task::spawn_blocking(work).await?
}

fn take_in(artifacts: &Artifacts, file: &Path) -> anyhow::Result<Value> {
    let unreadable = || format!("The file {} cannot be read. Nothing was done", file.display());
    let mut reader = File::open(file).with_context(unreadable)?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        let length = reader.read(&mut chunk).with_context(unreadable)?;
        if length == 0 {
            break;
        }
        hash.update(&chunk[..length]);
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let digest: Digest = format!("sha256:{hex}").parse()?;
    artifacts.adopt(file, &digest).with_context(unreadable)?;
    Ok(Value::String(digest.as_str().to_owned()))
}

fn named<'c>(connections: &'c [ConnectionConfig], name: &str) -> anyhow::Result<&'c ConnectionConfig> {
    connections.iter().find(|one| one.name == name).with_context(|| {
        let known: Vec<&str> = connections.iter().map(|one| one.name.as_str()).collect();
        format!(
            "There is no connection `{name}`; there are: {}. Nothing was done. Name one of them in the spec, or give \
             --config",
            known.join(", ")
        )
    })
}
