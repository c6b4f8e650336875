//! A registry's HTTP API, version 2, as far as one digest needs it: the manifest behind a tag, after the token that public
//! registries ask everybody to fetch first (the distribution specification, "Pulling manifests" and "Token authentication").

use std::io::Read as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use ureq::Agent;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{Response, StatusCode};

use super::reference::Reference;

const WITHIN: Duration = Duration::from_secs(60);
/// Registries take no larger manifest.
const MANIFEST_BYTES: u64 = 4 * 1024 * 1024;
const TOKEN_BYTES: u64 = 256 * 1024;
/// Lists of one image for several processors; the second is what Docker called them before.
const LISTS: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
const MANIFESTS: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
/// What the monitor's usual types are made of.
const PROCESSOR: &str = "amd64";

/// Where images are asked for.
pub(super) struct Registries {
    agent: Agent,
    /// The host of names that have none.
    hub: String,
}

impl Registries {
    pub(super) fn new(hub: String) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(WITHIN))
            .max_redirects(5)
            // What was given for one host is not shown to the next.
            .redirect_auth_headers(RedirectAuthHeaders::SameHost);
        Self {
            agent: Agent::new_with_config(config.build()),
            hub,
        }
    }

    /// The digest that the tag has now.
    pub(super) fn digest(&self, image: &Reference) -> Result<String> {
        let host = image.host().unwrap_or(&self.hub);
        let url = format!("{}://{host}/v2/{}/manifests/{}", scheme(host), image.path(), image.tag);
        let mut answer = self.manifest(&url, None)?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let token = self.token(host, image, &answer)?;
            answer = self.manifest(&url, Some(&token))?;
        }
        let status = answer.status();
        ensure!(status == StatusCode::OK, "{host} answered {status}");
        let header = |answer: &Response<ureq::Body>, name: &str| {
            let value = answer.headers().get(name);
            value.and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (said, kind) = (
            header(&answer, "docker-content-digest"),
            header(&answer, "content-type"),
        );
        let bytes = read(answer, MANIFEST_BYTES)?;
        fits(&bytes, kind.as_deref().unwrap_or_default())?;
        let made: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let made = format!("sha256:{made}");
        // What Docker will hold the bytes against; a registry that says another would have them refused there.
        ensure!(
            said.as_ref().is_none_or(|said| *said == made),
            "{host} says another digest than its manifest has"
        );
        Ok(made)
    }

    fn manifest(&self, url: &str, token: Option<&str>) -> Result<Response<ureq::Body>> {
        let mut request = self
            .agent
            .get(url)
            .header("Accept", [LISTS, MANIFESTS].concat().join(", "));
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let request = request.config().https_only(url.starts_with("https://")).build();
        request.call().with_context(|| format!("{url} could not be asked"))
    }

    /// Everybody gets one; there is nothing to log in with.
    fn token(&self, host: &str, image: &Reference, refusal: &Response<ureq::Body>) -> Result<String> {
        let challenge = refusal
            .headers()
            .get("www-authenticate")
            .and_then(|it| it.to_str().ok());
        let challenge = challenge.and_then(|text| text.strip_prefix("Bearer "));
        let challenge = challenge.with_context(|| format!("{host} wants a log-in that is not a token"))?;
        let part = |name: &str| parameter(challenge, name);
        let realm = part("realm").with_context(|| format!("{host} does not say where its tokens are"))?;
        let is_safe = realm.starts_with("https://") || scheme(host) == "http";
        ensure!(is_safe, "{host} gives its tokens without encryption");
        let scope = part("scope").unwrap_or_else(|| format!("repository:{}:pull", image.path()));
        let mut request = self.agent.get(&realm).query("scope", scope);
        if let Some(service) = part("service") {
            request = request.query("service", service);
        }
        let answer = request
            .call()
            .with_context(|| format!("{realm} could not be asked for a token"))?;
        let status = answer.status();
        ensure!(
            status == StatusCode::OK,
            "{realm} answered {status} when asked for a token"
        );
        let told: Value = serde_json::from_slice(&read(answer, TOKEN_BYTES)?).context("a token that is no JSON")?;
        let token = ["token", "access_token"].iter().find_map(|key| told[key].as_str());
        token.map(str::to_owned).context("an answer without a token")
    }
}

/// A list that has the monitor's processor, or a single image.
fn fits(manifest: &[u8], kind: &str) -> Result<()> {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if MANIFESTS.contains(&kind) {
        println!("  (an image for one kind of processor alone)");
        return Ok(());
    }
    if !LISTS.contains(&kind) {
        bail!("it answers with something that cannot be pinned: {kind:?}");
    }
    let list: Value = serde_json::from_slice(manifest).context("a list that is no JSON")?;
    let mut of = list["manifests"].as_array().into_iter().flatten();
    let is_there = of.any(|one| one["platform"]["architecture"] == PROCESSOR && one["platform"]["os"] == "linux");
    ensure!(is_there, "it has no image for linux on {PROCESSOR}");
    Ok(())
}

fn read(answer: Response<ureq::Body>, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut body = answer.into_body().into_reader().take(limit + 1);
    body.read_to_end(&mut bytes).context("the answer broke off")?;
    ensure!(bytes.len() as u64 <= limit, "the answer has more than {limit} bytes");
    Ok(bytes)
}

/// As Docker has it: only a registry on the machine itself may do without encryption.
fn scheme(host: &str) -> &'static str {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    match name {
        "localhost" | "127.0.0.1" => "http",
        _ => "https",
    }
}

/// `name="value"` of a list of them; a value may have commas in it.
fn parameter(list: &str, name: &str) -> Option<String> {
    let mut rest = list;
    loop {
        let (key, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        if key.trim_start_matches([',', ' ']) == name {
            return Some(value.to_owned());
        }
        rest = after;
    }
}

/// Docker on this machine knows where it looks for names without a host, which is the product's own affair nowhere.
pub(super) fn hub_of_docker() -> Result<String> {
    let asked = Command::new("docker")
        .args(["info", "--format", "{{.IndexServerAddress}}"])
        .output();
    let said = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let address = said.unwrap_or_default();
    let host = address
        .trim()
        .strip_prefix("https://")
        .and_then(|rest| rest.split('/').next());
    host.filter(|host| !host.is_empty()).map(str::to_owned).context(
        "No Docker daemon answers that could say where names without a host lead. Nothing was asked. Name the registry with \
         --hub HOST.",
    )
}
