//! Responses that the balancer gives itself: errors as sentences, fixed responses and redirects.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode, Uri};
use serde_json::Value;

/// A response with its whole body at hand.
pub(super) type OwnReply = Response<Bytes>;

/// Why no target answers a request. The word in parentheses of the access log's `error_reason` is the variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    BothLengths,
    UnknownCoding,
    NoHost,
    BadTarget,
    TooManyForwarders,
    BadBody,
    CutBody,
    MethodNotAllowed,
    UriTooLong,
    HeaderTooLarge,
    NoRule,
    NoWeight,
    NoTarget,
    CannotConnect,
    TargetBroke,
    TargetHeadTooLarge,
    TargetTimedOut,
    ClientTooSlow,
    ActionNotSupported,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::BothLengths | Self::NoHost | Self::BadTarget | Self::BadBody | Self::CutBody => {
                StatusCode::BAD_REQUEST
            }
            Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            // AWS's own number.
            Self::TooManyForwarders => StatusCode::from_u16(463).expect("it is between 100 and 999"),
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeaderTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NoRule | Self::NoWeight | Self::NoTarget => StatusCode::SERVICE_UNAVAILABLE,
            Self::CannotConnect | Self::TargetBroke | Self::TargetHeadTooLarge => StatusCode::BAD_GATEWAY,
            Self::ClientTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TargetTimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::ActionNotSupported => StatusCode::NOT_IMPLEMENTED,
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::BothLengths => "The request has both Content-Length and Transfer-Encoding; send one of them.",
            Self::UnknownCoding => "The load balancer knows no other Transfer-Encoding than chunked, once.",
            Self::NoHost => "The request has no usable Host header; send exactly one.",
            Self::BadTarget => "The request line names neither a path nor a whole http URL.",
            Self::TooManyForwarders => "X-Forwarded-For names more than 30 addresses.",
            Self::BadBody => "The chunks of the request's body are malformed.",
            Self::CutBody => "The request ended before the whole of its body had come.",
            Self::MethodNotAllowed => "The load balancer passes on neither TRACE nor CONNECT.",
            Self::UriTooLong => "The request line is longer than the load balancer accepts; shorten the URL.",
            Self::HeaderTooLarge => "A header is longer than the load balancer accepts; shorten it.",
            Self::NoRule => "No rule of this listener answers this request, and it has no default rule.",
            Self::NoWeight => "Every target group of the matching rule has weight 0, so nothing can answer.",
            Self::NoTarget => "The target group has no registered target that could answer.",
            Self::CannotConnect => "The load balancer could not connect to the target.",
            Self::TargetBroke => "The target closed the connection or answered something that is not HTTP.",
            Self::ClientTooSlow => "The rest of the request did not come in time.",
            Self::TargetHeadTooLarge => "The target answered with more header bytes than the load balancer accepts.",
            Self::TargetTimedOut => "The target did not answer in time.",
            Self::ActionNotSupported => {
                "The matching rule authenticates or rewrites, which only the AWS load balancer can do, not the local one."
            }
        }
    }

    /// The `error_reason` of the access log.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::BothLengths => "BothTeClPresent",
            Self::UnknownCoding => "BadTransferEncoding",
            Self::NoHost => "BadHost",
            Self::BadTarget => "BadUri",
            Self::TooManyForwarders => "TooManyForwarders",
            Self::BadBody => "BadBody",
            Self::CutBody => "BodyIncomplete",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::UriTooLong => "UriTooLong",
            Self::HeaderTooLarge => "HeaderTooLarge",
            Self::NoRule => "NoRule",
            Self::NoWeight => "NoWeight",
            Self::NoTarget => "NoTarget",
            Self::CannotConnect => "TargetConnectionError",
            Self::TargetBroke => "TargetConnectionClosed",
            Self::ClientTooSlow => "ClientTimeout",
            Self::TargetHeadTooLarge => "TargetHeaderTooLarge",
            Self::TargetTimedOut => "TargetTimeout",
            Self::ActionNotSupported => "ActionNotSupported",
        }
    }

    pub(super) fn reply(self) -> OwnReply {
        let status = self.status();
        let text = format!("{}\n{}\n", status, self.sentence());
        let mut reply = own(status, "text/plain; charset=utf-8", text.into());
        // After a head that two readers could read in two ways, nothing on that connection can be trusted.
        if matches!(
            self,
            Self::BothLengths
                | Self::UnknownCoding
                | Self::NoHost
                | Self::BadTarget
                | Self::TooManyForwarders
                | Self::BadBody
                | Self::CutBody
                | Self::MethodNotAllowed
                | Self::UriTooLong
                | Self::HeaderTooLarge
                | Self::ClientTooSlow
        ) {
            reply
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }
}

fn own(status: StatusCode, content_type: &str, body: Bytes) -> OwnReply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    if let Ok(value) = HeaderValue::from_str(content_type) {
        reply.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    reply
        .headers_mut()
        .insert(header::SERVER, HeaderValue::from_static("arya"));
    reply
}

/// A rule's fixed response. A status outside 200 to 599 cannot be written and becomes 500.
pub(super) fn fixed(status: u16, content_type: &str, body: &str) -> OwnReply {
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()));
    own(
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        content_type,
        Bytes::copy_from_slice(body.as_bytes()),
    )
}

/// What a redirect may refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'r> {
    pub(super) host: &'r str,
    pub(super) port: u16,
    pub(super) uri: &'r Uri,
}

/// A rule's redirect, from the JSON that AWS shows: the action with its `RedirectConfig`, or that alone.
/// `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}` stand for the request's own.
pub(super) fn redirect(verbatim: &Value, asked: &Asked<'_>) -> OwnReply {
    let config = verbatim.get("RedirectConfig").unwrap_or(verbatim);
    let port = asked.port.to_string();
    let fill = |key: &str, default: &str| {
        let template = config.get(key).and_then(Value::as_str).unwrap_or(default);
        template
            .replace("#{protocol}", "http")
            .replace("#{host}", asked.host)
            .replace("#{port}", &port)
            .replace("#{path}", asked.uri.path().trim_start_matches('/'))
            .replace("#{query}", asked.uri.query().unwrap_or(""))
    };
    let protocol = fill("Protocol", "#{protocol}").to_ascii_lowercase();
    let (host, port) = (fill("Host", "#{host}"), fill("Port", "#{port}"));
    let (path, query) = (fill("Path", "/#{path}"), fill("Query", "#{query}"));
    let usual = matches!((protocol.as_str(), port.as_str()), ("http", "80") | ("https", "443"));
    let port = if usual { String::new() } else { format!(":{port}") };
    let query = if query.is_empty() { query } else { format!("?{query}") };
    let status = match config.get("StatusCode").and_then(Value::as_str) {
        Some("HTTP_301" | "301") => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::FOUND,
    };
    let mut reply = own(status, "text/plain; charset=utf-8", Bytes::new());
    // A host with odd bytes cannot come from a parsed request; without a place to go the redirect would mislead.
    match HeaderValue::from_str(&format!("{protocol}://{host}{port}{path}{query}")) {
        Ok(location) => {
            reply.headers_mut().insert(header::LOCATION, location);
            reply
        }
        Err(_) => Refusal::NoHost.reply(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn redirects_are_filled_in_as_aws_does() {
        let check = |verbatim: Value, status: u16, location: &str| {
            let uri = "/a/b?x=1".parse().unwrap();
            let reply = redirect(
                &verbatim,
                &Asked {
                    host: "shop.example.com",
                    port: 8080,
                    uri: &uri,
                },
            );
            assert_eq!(
                (reply.status().as_u16(), &reply.headers()["location"]),
                (status, &location.parse().unwrap())
            );
        };
        check(
            json!({"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}),
            301,
            "https://shop.example.com/a/b?x=1",
        );
        check(
            json!({"StatusCode": "HTTP_302"}),
            302,
            "http://shop.example.com:8080/a/b?x=1",
        );
        check(
            json!({"Host": "www.#{host}", "Path": "/new/#{path}", "Query": "", "Port": "80"}),
            302,
            "http://www.shop.example.com/new/a/b",
        );
    }

    #[test]
    fn a_refusal_says_what_happened_and_closes_only_when_the_head_cannot_be_trusted() {
        let check = |refusal: Refusal, status: u16, closes| {
            let reply = refusal.reply();
            assert_eq!(
                (reply.status().as_u16(), reply.headers().contains_key("connection")),
                (status, closes)
            );
            assert!(reply.body().len() > 20);
        };
        check(Refusal::BothLengths, 400, true);
        check(Refusal::HeaderTooLarge, 431, true);
        check(Refusal::TooManyForwarders, 463, true);
        check(Refusal::BadBody, 400, true);
        check(Refusal::NoTarget, 503, false);
        check(Refusal::CannotConnect, 502, false);
        check(Refusal::TargetTimedOut, 504, false);
    }
}
