//! Which headers pass between client and target, and which are added on the way.
//!
//! Both sides are framed anew by the HTTP library, so nothing that describes one hop may reach the other.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// RFC 9110 §7.6.1 and the older names in use. `Trailer` belongs to them here because trailers are dropped.
static ONE_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What `Connection` may not take away: a client could else hide from a target who asks, for what host, or how long
/// the message is.
static NEVER_NAMED: [HeaderName; 2] = [header::HOST, header::CONTENT_LENGTH];

/// Removes what concerns one hop only: the fixed list, and whatever `Connection` names.
pub(super) fn remove_one_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .filter(|name| !NEVER_NAMED.contains(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &ONE_HOP {
        headers.remove(name);
    }
}

/// Whether the body's coding is `chunked` and nothing else. A second coding would be lost on the way, since it concerns
/// one hop, and two readers differ on what two of them mean.
pub(super) fn is_chunked_once(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let first = codings.next().map(|coding| coding.as_bytes().trim_ascii());
    first.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

/// How many addresses `X-Forwarded-For` names already.
pub(super) fn forwarders(headers: &HeaderMap) -> usize {
    let lines = headers.get_all(&X_FORWARDED_FOR).iter();
    lines
        .map(|line| 1 + line.as_bytes().iter().filter(|byte| **byte == b',').count())
        .sum()
}

/// Whether the client asks to speak another protocol, e.g. WebSocket.
pub(super) fn wants_upgrade(headers: &HeaderMap) -> bool {
    let named = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').any(|name| name.trim().eq_ignore_ascii_case("upgrade")))
    };
    headers.contains_key(header::UPGRADE) && headers.get_all(header::CONNECTION).iter().any(named)
}

/// What a client is known by towards targets.
#[derive(Debug)]
pub(super) struct ClientHeaders {
    address: HeaderValue,
    port: HeaderValue,
}

impl ClientHeaders {
    pub(super) fn new(address: IpAddr, listener_port: u16) -> Self {
        let visible = "an address and a number are visible ASCII";
        Self {
            address: HeaderValue::from_str(&address.to_string()).expect(visible),
            port: HeaderValue::from(listener_port),
        }
    }

    /// `X-Forwarded-For` is appended to; protocol and port are ours alone, a client's own are replaced.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        let value = match joined(headers, &X_FORWARDED_FOR) {
            None => self.address.clone(),
            Some(mut list) => {
                list.extend_from_slice(b", ");
                list.extend_from_slice(self.address.as_bytes());
                HeaderValue::from_bytes(&list).unwrap_or_else(|_| self.address.clone())
            }
        };
        headers.insert(X_FORWARDED_FOR, value);
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
        headers.insert(X_FORWARDED_PORT, self.port.clone());
    }
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    (!values.is_empty()).then(|| values.join(&b", "[..]))
}

/// Gives the request a trace id, `Root=1-<seconds>-<96 bits>`, where it has none; what it carries is kept.
pub(super) fn trace(headers: &mut HeaderMap, at: Timestamp, chance: [u64; 2]) -> HeaderValue {
    if let Some(given) = headers.get(&X_AMZN_TRACE_ID) {
        return given.clone();
    }
    // Put together by hand: every request passes here.
    let digit = |number: u64, at: usize| b"0123456789abcdef"[(number >> (4 * at) & 0xf) as usize];
    let mut text = *b"Root=1-........-........................";
    let seconds = at.as_second().unsigned_abs();
    for (at, place) in text[7..15].iter_mut().rev().enumerate() {
        *place = digit(seconds, at);
    }
    let (high, low) = text[16..].split_at_mut(16);
    for (number, places) in [(chance[0], high), (chance[1], low)] {
        for (at, place) in places.iter_mut().rev().enumerate() {
            *place = digit(number, at);
        }
    }
    let value = HeaderValue::from_bytes(&text).expect("hexadecimal digits are visible ASCII");
    headers.insert(X_AMZN_TRACE_ID, value.clone());
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn headers_of_one_hop_do_not_pass() {
        let check = |lines: &[(&'static str, &str)], left: &[&str]| {
            let mut headers = map(lines);
            remove_one_hop(&mut headers);
            let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, left, "{lines:?}");
        };
        check(
            &[
                ("connection", "close"),
                ("keep-alive", "5"),
                ("te", "trailers"),
                ("accept", "*/*"),
            ],
            &["accept"],
        );
        check(
            &[("connection", "x-secret, close"), ("x-secret", "1"), ("x-other", "1")],
            &["x-other"],
        );
        check(
            &[
                ("connection", "host, Content-Length"),
                ("host", "a"),
                ("content-length", "1"),
            ],
            &["content-length", "host"],
        );
        check(
            &[("transfer-encoding", "chunked"), ("upgrade", "h2c"), ("trailer", "x")],
            &[],
        );
        check(&[("connection", ",, b@d ,")], &[]);
    }

    #[test]
    fn the_client_is_appended_to_those_that_forwarded_before() {
        let check = |before: &[(&'static str, &str)], expected: &str| {
            let mut headers = HeaderMap::new();
            for (name, value) in before {
                headers.append(*name, value.parse().unwrap());
            }
            ClientHeaders::new("10.0.0.7".parse().unwrap(), 8080).add_to(&mut headers);
            assert_eq!(headers["x-forwarded-for"], expected);
            assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
            assert_eq!(
                (&headers["x-forwarded-proto"], &headers["x-forwarded-port"]),
                (&"http".parse().unwrap(), &"8080".parse().unwrap())
            );
        };
        check(&[], "10.0.0.7");
        check(
            &[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")],
            "1.2.3.4, 10.0.0.7",
        );
        check(
            &[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "5.6.7.8")],
            "1.2.3.4, 5.6.7.8, 10.0.0.7",
        );
    }

    #[test]
    fn a_trace_id_is_given_once() {
        let at = Timestamp::from_second(0x5f3e_0001).unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(
            trace(&mut headers, at, [1, 2]),
            "Root=1-5f3e0001-000000000000000100000002"
        );
        assert_eq!(
            trace(&mut headers, at, [3, 4]),
            "Root=1-5f3e0001-000000000000000100000002"
        );
    }

    #[test]
    fn an_upgrade_is_wanted_only_when_both_headers_say_so() {
        let check =
            |lines: &[(&'static str, &str)], expected| assert_eq!(wants_upgrade(&map(lines)), expected, "{lines:?}");
        check(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")], true);
        check(&[("upgrade", "websocket")], false);
        check(&[("connection", "upgrade")], false);
    }
}
