//! Reading what a request brings: bodies within limits, JSON with the key that is wrong, specs in YAML or JSON.

use arya_plan::identity::DeploymentId;
use arya_plan::spec::Spec;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, Collected, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::Problem;
use super::text;
use crate::patience::TooSlow;

/// A body other than an artifact. The largest is a spec with a Kayenta configuration of some hundred metrics.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// A JSON body whose wrong key is named.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let kind = media_type(request.headers());
        if !matches!(kind.as_deref(), Some("application/json") | None) {
            return Err(unsupported(kind.as_deref().unwrap_or_default(), "application/json"));
        }
        let body = read(request.into_body(), BODY_LIMIT).await?;
        let value = text::json(&body).map_err(|unreadable| unreadable.problem(StatusCode::BAD_REQUEST, "body"))?;
        typed(value).map(Self)
    }
}

/// A body that says nothing. It is read all the same: a connection with unread bytes must be closed, and the client's
/// next request on it would be lost.
#[derive(Debug)]
pub(crate) struct Ignored;

impl<S: Send + Sync> FromRequest<S> for Ignored {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        read(request.into_body(), BODY_LIMIT).await.map(|_| Self)
    }
}

/// Reads a value into its type; the error names the key.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let inner = text::parsers(&error.inner().to_string());
        let quoted = inner.split('`').nth(1).map(str::to_owned);
        let field = if path == "." { quoted } else { Some(text::cut(&path)) };
        let mut problem = Problem::invalid(format!(
            "The body does not say what it must: {inner}. Nothing was changed."
        ))
        .next("Correct it; /api/openapi.json describes every body.");
        problem.field = field;
        problem
    })
}

/// A spec, and what came beside it.
#[derive(Debug)]
pub(crate) struct SpecBody {
    pub(crate) spec: Spec,
    /// The plan that the person saw; applying refuses when the cloud differs from it.
    pub(crate) plan_digest: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for SpecBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let kind = media_type(request.headers());
        let body = read(request.into_body(), BODY_LIMIT).await?;
        Self::parse(kind.as_deref(), &body)
    }
}

impl SpecBody {
    /// Parses by media type; without one YAML, of which JSON is a part.
    pub(crate) fn parse(media_type: Option<&str>, body: &[u8]) -> Result<Self, Problem> {
        let mut document = match media_type {
            Some("application/json") => text::json(body).map_err(refused)?,
            None | Some("application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" | "text/plain") => {
                text::yaml(body).map_err(refused)?
            }
            Some(other) => return Err(unsupported(other, "application/yaml or application/json")),
        };
        let plan_digest = document.as_object_mut().and_then(|object| object.remove("plan_digest"));
        let plan_digest = match plan_digest {
            None | Some(Value::Null) => None,
            Some(Value::String(digest)) => Some(digest),
            Some(_) => {
                let problem = Problem::invalid("`plan_digest` must be a text. Nothing was changed.").at("plan_digest");
                return Err(problem.next("Send the `digest` of the plan that was shown, or leave it out."));
            }
        };
        Ok(Self {
            spec: Spec::parse(&document)?,
            plan_digest,
        })
    }
}

/// A spec in YAML as a document.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, Problem> {
    text::yaml(body).map_err(refused)
}

fn refused(unreadable: text::Unreadable) -> Problem {
    unreadable.problem(StatusCode::UNPROCESSABLE_ENTITY, "spec")
}

fn unsupported(got: &str, wanted: &str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "media-type",
        format!(
            "The body is `{}`, which this call does not read. Nothing was changed.",
            shown(got)
        ),
    )
    .next(format!("Send {wanted}, and say so in Content-Type."))
}

/// Whether the body is of this media type.
pub(crate) fn media_type_is(headers: &HeaderMap, wanted: &str) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(wanted)
}

/// The media type without its parameters. A form's default counts as none: it is what tools send when told nothing.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    (!essence.is_empty() && essence != "application/x-www-form-urlencoded").then_some(essence)
}

/// Reads a body to its end, within a limit in bytes and the limits of time in [`crate::patience`].
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let collected = Limited::new(body, limit).collect().await;
    collected.map(Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            let detail = format!(
                "The body is larger than {}. Nothing was changed.",
                text::limit(limit as u64)
            );
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
                .next("Send less; files go to PUT /api/v1/artifacts.");
        }
        let incomplete = |detail| Problem::new(StatusCode::BAD_REQUEST, "incomplete", detail).next("Send it again.");
        match TooSlow::behind(&*error) {
            Some(slow) => too_slow(slow),
            None => incomplete("The body ended early, or cannot be read as HTTP. Nothing was changed."),
        }
    })
}

/// What a client is told that took too long.
pub(crate) fn too_slow(slow: TooSlow) -> Problem {
    let detail = format!("The request took too long: {slow}. Nothing was changed.");
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", detail).next("Send it again on a better connection.")
}

/// The id in a path; a name is no id here, so that a script never acts on the wrong one.
pub(crate) fn deployment_id(text: &str) -> Result<DeploymentId, Problem> {
    text.parse()
        .map_err(|_| Problem::not_found(&format!("deployment with the id `{}`", shown(text))))
}

/// A foreign text, cut so that an answer stays readable.
pub(crate) fn shown(text: &str) -> String {
    arya_bundle::beginning(text, 80)
}

/// Whether `Accept` names the media type itself; `*/*` does not count.
pub(crate) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let named = |part: &str| {
        part.split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case(wanted)
    };
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = "name: emr\nlistener: local:web\napp: {port: 8080, health_check_path: /health}\n\
        baseline: {image: IMAGE, compose: IMAGE}\ncanary: {image: IMAGE, compose: IMAGE}\n";

    fn spec(extra: &str) -> String {
        let digest = format!("sha256:{}", "0".repeat(64));
        SPEC.replace("IMAGE", &format!("'{digest}'")) + extra
    }

    fn check(media_type: Option<&str>, body: &str, status: u16, field: Option<&str>, words: &str) {
        let problem = SpecBody::parse(media_type, body.as_bytes()).unwrap_err();
        assert_eq!(
            (problem.status, problem.field.as_deref()),
            (status, field),
            "{}",
            problem.detail
        );
        assert!(problem.detail.contains(words), "{}", problem.detail);
        assert!(problem.next.is_some(), "{body}");
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let from_yaml = SpecBody::parse(None, spec("plan_digest: abc\n").as_bytes()).unwrap();
        let json = serde_json::to_vec(&from_yaml.spec).unwrap();
        let from_json = SpecBody::parse(Some("application/json"), &json).unwrap();
        assert_eq!(from_yaml.spec, from_json.spec);
        assert_eq!(
            (from_yaml.plan_digest.as_deref(), from_json.plan_digest),
            (Some("abc"), None)
        );
    }

    #[test]
    fn an_unknown_key_is_named_with_its_neighbour() {
        check(
            None,
            &spec("canary_procent: 5\n"),
            422,
            Some("canary_procent"),
            "canary_percent",
        );
    }

    #[test]
    fn a_share_out_of_range_is_named() {
        check(None, &spec("canary_percent: 60\n"), 422, Some("canary_percent"), "60");
    }

    #[test]
    fn a_digest_that_is_no_text_is_named() {
        check(
            None,
            &spec("plan_digest: [1]\n"),
            422,
            Some("plan_digest"),
            "must be a text",
        );
    }

    #[test]
    fn what_is_no_yaml_is_said_to_be_none() {
        check(None, "a: [1,\n b: {", 422, None, "not YAML");
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        check(Some("application/json"), "{", 422, None, "not JSON");
    }

    #[test]
    fn another_media_type_is_refused() {
        check(Some("application/xml"), "<a/>", 415, None, "application/xml");
    }
}
