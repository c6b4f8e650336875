//! The posted fields of a form, read within limits: a form of ours sends some sixty short fields, once each.

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;

use super::error::ErrorPage;
use super::frame::Around;
use crate::api::input::{media_type_is, read, shown};
use crate::api::problem::Problem;
use crate::app::App;
use crate::auth::Caller;

/// A form, in bytes. The largest holds a pasted spec with a Kayenta configuration, percent-encoded.
const FORM_LIMIT: usize = 1024 * 1024;
/// The login form is open to strangers and holds one token.
const LOGIN_FORM_LIMIT: usize = 4 * 1024;
/// Fields of one form. Ours have about sixty; rows and acknowledged problems add to them.
const FIELDS_MAX: usize = 400;

/// Names and values in the order of the form.
#[derive(Debug)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    /// The trimmed value of a field that a form has once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self
            .0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.trim());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => {
                let detail = format!("The form has the field `{name}` twice. Nothing was changed.");
                Err(Problem::invalid(detail).at(name).next("Send it once."))
            }
        }
    }

    /// Reads a form's body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        if body.iter().filter(|byte| **byte == b'&').count() >= FIELDS_MAX {
            let detail = format!("The form has more than {FIELDS_MAX} fields. Nothing was changed.");
            let next = "Go back to the page and send its own form.";
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-many-fields", detail).next(next));
        }
        let parts = body.split(|byte| *byte == b'&').filter(|part| !part.is_empty());
        let fields = parts.map(|part| {
            let mut halves = part.splitn(2, |byte| *byte == b'=');
            let mut half = || decoded(halves.next().unwrap_or_default());
            Ok((half()?, half()?))
        });
        fields.collect::<Result<_, NotText>>().map(Self).map_err(|NotText| {
            let detail = "The form is not text in UTF-8. Nothing was changed.";
            let next = "Go back to the page and send its own form.";
            Problem::new(StatusCode::BAD_REQUEST, "malformed", detail).next(next)
        })
    }
}

struct NotText;

/// Replaces `+` and `%41`. What stands after a percent sign and is no number stays as it is, as the URL standard has it.
fn decoded(encoded: &[u8]) -> Result<String, NotText> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        match digits.and_then(hexadecimal) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| NotText)
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    // A sign would pass the parser.
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    u8::from_str_radix(text, 16).ok()
}

/// Reads a form, or gives the page that says why not.
async fn read_form(request: Request, app: &App, limit: usize) -> Result<Fields, Response> {
    let caller = request.extensions().get::<Caller>().cloned();
    let fields = fields(request, limit).await;
    fields.map_err(|problem| ErrorPage::answer(&Around::of(app, caller.as_ref()), &problem))
}

async fn fields(request: Request, limit: usize) -> Result<Fields, Problem> {
    const FORM: &str = "application/x-www-form-urlencoded";
    if !media_type_is(request.headers(), FORM) {
        let kind = request.headers().get(axum::http::header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("of no type");
        let detail = format!(
            "The body is {}, and this page reads forms. Nothing was changed.",
            shown(kind)
        );
        let next = "Go back to the page and send its own form.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail).next(next));
    }
    Fields::parse(&read(request.into_body(), limit).await?)
}

impl FromRequest<App> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        read_form(request, app, FORM_LIMIT).await
    }
}

/// The fields of the login form.
#[derive(Debug)]
pub(crate) struct LoginFields(pub(crate) Fields);

impl FromRequest<App> for LoginFields {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        read_form(request, app, LOGIN_FORM_LIMIT).await.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: impl AsRef<[u8]>, expected: &[(&str, &str)]) {
        let fields = Fields::parse(body.as_ref()).unwrap();
        let fields: Vec<_> = fields
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(fields, expected);
    }

    fn refused(body: impl AsRef<[u8]>, status: u16) {
        assert_eq!(Fields::parse(body.as_ref()).unwrap_err().status, status);
    }

    #[test]
    fn fields_are_read_as_the_url_standard_has_it() {
        check("", &[]);
        check("a=1&b=2", &[("a", "1"), ("b", "2")]);
        check("&&a&=b&c=d=e&", &[("a", ""), ("", "b"), ("c", "d=e")]);
        check("a=x+y%20z%2B%26", &[("a", "x y z+&")]);
        check("a=%E2%82%AC%00", &[("a", "€\0")]);
        check(
            "a=100%&b=%4&c=%zz&d=%+1",
            &[("a", "100%"), ("b", "%4"), ("c", "%zz"), ("d", "% 1")],
        );
        check("%61=1&a=2", &[("a", "1"), ("a", "2")]);
    }

    #[test]
    fn what_is_not_text_is_refused() {
        refused("a=%FF", 400);
        refused(b"a=\xff", 400);
        refused("%C3%28=1", 400);
        refused("a=%ED%A0%80", 400);
    }

    #[test]
    fn more_fields_than_a_form_has_are_refused() {
        check("a&".repeat(FIELDS_MAX - 1), &[("a", ""); FIELDS_MAX - 1]);
        refused("a&".repeat(100_000), 413);
        refused("&".repeat(100_000), 413);
    }

    #[test]
    fn a_field_that_stands_twice_is_named() {
        let fields = Fields::parse(b"canary_percent=5&%63anary_percent=50&reason=+x+").unwrap();
        assert_eq!(fields.one("reason").unwrap(), Some("x"));
        assert_eq!(fields.one("preset").unwrap(), None);
        let problem = fields.one("canary_percent").unwrap_err();
        assert_eq!(
            (problem.status, problem.field.as_deref()),
            (422, Some("canary_percent"))
        );
    }

    proptest::proptest! {
        #[test]
        fn no_form_brings_the_reader_down(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            if let Ok(fields) = Fields::parse(&bytes) {
                let posted = crate::web::form::NewForm::posted(fields.0);
                let (document, _) = posted.document();
                proptest::prop_assert!(document.is_object());
            }
        }

        #[test]
        fn what_browsers_encode_is_read_back(fields in proptest::collection::vec(("\\PC{1,8}", "\\PC{0,20}"), 0..20)) {
            let encode = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
            let body: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
            let read = Fields::parse(body.join("&").as_bytes()).map(|fields| fields.0);
            proptest::prop_assert_eq!(read.unwrap(), fields);
        }
    }
}
