//! The static files, inside the binary. Their addresses carry a digest of their bytes, so they may be kept for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// A year; the address changes with the bytes.
const KEEP: &str = "public, max-age=31536000, immutable";

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    digest: String,
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        asset(
            "app.css",
            "text/css; charset=utf-8",
            include_bytes!("../../../../static/app.css"),
        ),
        asset(
            "app.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../../../static/app.js"),
        ),
        asset(
            "icon.svg",
            "image/svg+xml",
            include_bytes!("../../../../static/icon.svg"),
        ),
    ]
});

fn asset(name: &'static str, kind: &'static str, bytes: &'static [u8]) -> Asset {
    let digest = Sha256::digest(bytes);
    let digest = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Asset {
        name,
        kind,
        bytes,
        digest,
    }
}

/// The addresses that pages name.
#[derive(Debug, Clone)]
pub(crate) struct Urls {
    pub(crate) css: String,
    pub(crate) js: String,
    pub(crate) icon: String,
}

pub(crate) fn urls() -> Urls {
    let url = |asset: &Asset| format!("/static/{}?v={}", asset.name, asset.digest);
    let [css, js, icon] = &*ASSETS;
    Urls {
        css: url(css),
        js: url(js),
        icon: url(icon),
    }
}

/// The style sheet's text, for the report, which must stand alone.
pub(crate) fn style_sheet() -> &'static str {
    include_str!("../../../../static/app.css")
}

/// `GET /static/{name}`. Public: the login page needs it, and nothing in it is secret.
pub(crate) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", asset.digest);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let fields = [
        (header::CONTENT_TYPE, asset.kind.to_owned()),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, KEEP.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    if known {
        (StatusCode::NOT_MODIFIED, fields).into_response()
    } else {
        (fields, asset.bytes).into_response()
    }
}
