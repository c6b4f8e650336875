//! What is asked of a request's head before anything is done for it, and which host it names.

use http::header::{self, HeaderValue};
use http::{Method, Request, Version};
use hyper::body::Incoming;

use super::Shared;
use super::client::CONTENT_LENGTH;
use super::headers::{forwarders, is_chunked_once};
use super::replies::Refusal;
use super::settings::MAX_FORWARDERS;

/// What the HTTP library lets through and an ALB does not.
pub(super) fn check_head(shared: &Shared, request: &Request<Incoming>, seen: u8) -> Result<(), Refusal> {
    if request.headers().contains_key(header::TRANSFER_ENCODING) && seen & CONTENT_LENGTH != 0 {
        return Err(Refusal::BothLengths);
    }
    if request.headers().contains_key(header::TRANSFER_ENCODING) && !is_chunked_once(request.headers()) {
        return Err(Refusal::UnknownCoding);
    }
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Refusal::MethodNotAllowed);
    }
    check_uri(request)?;
    if forwarders(request.headers()) > MAX_FORWARDERS {
        return Err(Refusal::TooManyForwarders);
    }
    let line_max = shared.settings.max_header_line_bytes;
    let uri_bytes = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if request.method().as_str().len() + uri_bytes + " HTTP/1.1 \r\n".len() > line_max {
        return Err(Refusal::UriTooLong);
    }
    let too_large =
        |(name, value): (&header::HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4 > line_max;
    if request.headers().iter().any(too_large) {
        return Err(Refusal::HeaderTooLarge);
    }
    Ok(())
}

/// A path, a whole URL, or the `*` of OPTIONS (RFC 9112 §3.2). A host without a scheme is what CONNECT alone may ask for;
/// read as a URL it would become a request for `/` of a host that no rule was asked about.
fn check_uri(request: &Request<Incoming>) -> Result<(), Refusal> {
    let uri = request.uri();
    let known = uri
        .scheme()
        .is_none_or(|scheme| ["http", "https"].contains(&scheme.as_str()));
    let is_path = uri.authority().is_none() && uri.path().starts_with('/');
    let is_url = uri.authority().is_some() && uri.scheme().is_some() && known;
    let is_star = uri.path() == "*" && *request.method() == Method::OPTIONS;
    (is_path || is_url || is_star).then_some(()).ok_or(Refusal::BadTarget)
}

/// The host as the client asked for it, with its port if it gave one. A full URL in the request line comes first
/// (RFC 9112 §3.2.2); only HTTP/1.0 may leave it out.
pub(super) fn host(request: &Request<Incoming>) -> Result<HeaderValue, Refusal> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let told = match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => host.clone(),
        (None, None) if request.version() == Version::HTTP_10 => HeaderValue::from_static(""),
        _ => return Err(Refusal::NoHost),
    };
    match request.uri().authority() {
        Some(authority) if is_host(authority.as_str().as_bytes()) => {
            HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::NoHost)
        }
        Some(_) => Err(Refusal::NoHost),
        None => Ok(told),
    }
}

/// A name or address with perhaps a port, and nothing that another reader could take for the end of the host: no user
/// before an `@`, no path, no list. Empty is allowed (RFC 9110 §7.2).
fn is_host(host: &[u8]) -> bool {
    let name_and_port = match host.strip_prefix(b"[") {
        Some(rest) => match rest.iter().position(|byte| *byte == b']') {
            Some(end)
                if rest[..end]
                    .iter()
                    .all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte)) =>
            {
                &rest[end + 1..]
            }
            _ => return false,
        },
        None => host,
    };
    let mut parts = name_and_port.split(|byte| *byte == b':');
    let name_is_plain = |name: &[u8]| {
        name.iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(byte))
    };
    let name = parts.next().unwrap_or_default();
    let name_ok = if host.starts_with(b"[") {
        name.is_empty()
    } else {
        name_is_plain(name)
    };
    let port_ok = parts
        .next()
        .is_none_or(|port| port.iter().all(u8::is_ascii_digit) && port.len() <= 5);
    name_ok && port_ok && parts.next().is_none()
}

pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons within the brackets belong to an IPv6 address.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_perhaps_a_port() {
        let check = |host: &str, expected| assert_eq!(is_host(host.as_bytes()), expected, "{host}");
        for host in [
            "",
            "a",
            "a.b-c_d~e",
            "a:80",
            "a:",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "xn--e1afmkfd",
        ] {
            check(host, true);
        }
        for host in [
            "a b", "a@b", "a/b", "a,b", "a:b", "a:80:80", "a:123456", "[::1", "[::1]x", "[g]", "]", "\u{e9}",
        ] {
            check(host, false);
        }
    }

    #[test]
    fn the_port_is_no_part_of_the_name_and_the_brackets_are() {
        for (host, name) in [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")] {
            assert_eq!(without_port(host), name);
        }
    }
}
