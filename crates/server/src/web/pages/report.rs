//! The report: a deployment's story, frozen as one HTML file that stands alone and survives it.

use std::fmt;
use std::sync::LazyLock;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::deployment::{EventLine, Versions};
use super::logs::LogView;
use crate::api::documents::ReportDocument;
use crate::api::input::deployment_id;
use crate::app::App;
use crate::auth::Caller;
use crate::web::assets;
use crate::web::error::ErrorPage;
use crate::web::frame::Around;
use crate::web::html;
use crate::web::parts::facts::{self, Fact};
use crate::web::parts::kayenta::KayentaView;
use crate::web::parts::metric::MetricTile;
use crate::web::parts::proof::ProofView;
use crate::web::parts::share::{self, WeightRow};
use crate::web::parts::verdict::{self, Says};
use crate::web::words;

/// What may run or be loaded in the file: nothing but its own style sheet, named by its digest.
pub(crate) static CONTENT_POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = base64(&Sha256::digest(assets::style_sheet().as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'")
});

pub(crate) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    let document = match deployment_id(&id) {
        Ok(id) => app.report_document(&id).await,
        Err(problem) => Err(problem),
    };
    match document {
        Ok(document) => {
            let versions = Versions::of(&app, &document.deployment).await;
            page(&document, versions)
        }
        Err(problem) => ErrorPage::answer(&Around::of(&app, Some(&caller)), &problem),
    }
}

/// The report as one file, for the API, which knows no names of images.
pub(crate) fn answer(document: &ReportDocument) -> Response {
    let spec = &document.deployment.spec;
    let name = |digest: &arya_plan::spec::Digest| words::short(digest.as_str()).to_owned();
    page(
        document,
        Versions {
            baseline: name(&spec.baseline.image),
            canary: name(&spec.canary.image),
        },
    )
}

fn page(document: &ReportDocument, versions: Versions) -> Response {
    let policy = [(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY.as_str())];
    (policy, html(&ReportPage::of(document, versions))).into_response()
}

/// Our own file, which no person's words reach; in a style sheet an escape would be part of its rules.
#[derive(Debug)]
struct StyleSheet;

impl askama::filters::HtmlSafe for StyleSheet {}

impl fmt::Display for StyleSheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(assets::style_sheet())
    }
}

#[derive(Debug, Template)]
#[template(path = "pages/report.html")]
pub(crate) struct ReportPage {
    policy: &'static str,
    style: StyleSheet,
    id: String,
    name: String,
    versions: Versions,
    verdict: Says,
    weights: Vec<WeightRow>,
    metrics: Vec<MetricTile>,
    kayenta: Option<KayentaView>,
    assumption: Option<String>,
    facts: Vec<Fact>,
    events: Vec<EventLine>,
    proof: Option<ProofView>,
    logs: Vec<LogView>,
    no_logs: Option<String>,
    export: Option<String>,
    spec: String,
    made_at: String,
    closed: bool,
}

impl ReportPage {
    pub(crate) fn of(report: &ReportDocument, versions: Versions) -> Self {
        let (document, verdict) = (&report.deployment, &report.verdict);
        let closed = document.closed_at.is_some();
        Self {
            policy: &CONTENT_POLICY,
            style: StyleSheet,
            id: document.id.to_string(),
            name: document.name.clone(),
            versions,
            verdict: verdict::last(document, verdict),
            weights: share::rows(document),
            metrics: MetricTile::all(&verdict.metrics, "", document.told()),
            kayenta: verdict.kayenta.as_ref().map(KayentaView::of),
            assumption: verdict.assumption.clone(),
            facts: facts::facts(document),
            events: report.events.iter().map(EventLine::of).collect(),
            proof: document.restore_proof.as_ref().map(ProofView::of),
            logs: report.logs.logs.iter().map(LogView::of).collect(),
            no_logs: report.logs.missing.clone(),
            export: report.export.clone(),
            spec: serde_saphyr::to_string(&document.spec).unwrap_or_default(),
            made_at: words::day(report.made_at),
            closed,
        }
    }
}

/// Standard base64 with padding, for the content policy's digest.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * position)) as usize & 63] as char;
            text.push(if position <= chunk.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standard_one() {
        for (bytes, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }
}
