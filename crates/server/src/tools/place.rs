//! Where the tools' listener is, for the browser that looks at a page: as it was stated, or as the page itself was reached.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::Uri;
use axum::http::uri::Authority;

/// An address as people state it: a scheme, a host, perhaps a port, and nothing after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ToolsUrl(String);

/// Why an address is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an address such as https://tools.example.com is meant: http or https, a host, perhaps a port, and no path")]
pub(crate) struct NoToolsUrl;

impl FromStr for ToolsUrl {
    type Err = NoToolsUrl;

    fn from_str(text: &str) -> Result<Self, NoToolsUrl> {
        let uri: Uri = text.trim().parse().map_err(|_| NoToolsUrl)?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let bare = uri.path() == "/" && uri.query().is_none();
        match (scheme, authority) {
            (Some(scheme), Some(authority)) if bare => Ok(Self(format!("{scheme}://{authority}"))),
            _ => Err(NoToolsUrl),
        }
    }
}

/// What is known of where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In front of it stands something that only people know of.
    Stated(ToolsUrl),
    Listening(SocketAddr),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stated(ToolsUrl(url)) => write!(f, "shown at {url}"),
            Self::Listening(address) => write!(f, "shown at port {} of {}", address.port(), address.ip()),
        }
    }
}

impl Place {
    /// Its address for who reached Arya's page by this `Host`, without a slash at the end; `None` where it cannot be known.
    pub(super) fn for_who_asked(&self, host: Option<&str>) -> Option<String> {
        let listening = match self {
            Self::Stated(ToolsUrl(url)) => return Some(url.clone()),
            Self::Listening(address) => address,
        };
        let port = listening.port();
        let host = host.and_then(|host| host.parse::<Authority>().ok());
        let name = host.as_ref().map(Authority::host);
        match (name, listening.ip()) {
            // Every address of the machine: so that one by which the page came.
            (Some(name), ip) if ip.is_unspecified() => Some(format!("http://{name}:{port}")),
            (Some(name), ip) if ip.is_loopback() => is_loopback(name, ip).then(|| format!("http://{name}:{port}")),
            (None, ip) if ip.is_unspecified() || ip.is_loopback() => None,
            (_, _) => Some(format!("http://{listening}")),
        }
    }

    /// Whether browsers may be told to show the cookie over TLS alone.
    pub(super) fn is_https(&self) -> bool {
        matches!(self, Self::Stated(ToolsUrl(url)) if url.starts_with("https:"))
    }
}

/// Whether a listener on this loopback address is reached by this name. `localhost` may be either family, so it is only
/// where browsers try both.
fn is_loopback(name: &str, listening: IpAddr) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse() == Ok(listening)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listening: &str, host: Option<&str>, expected: Option<&str>) {
        let place = Place::Listening(listening.parse().unwrap());
        assert_eq!(place.for_who_asked(host).as_deref(), expected, "{listening} {host:?}");
    }

    #[test]
    fn it_is_where_the_page_was_reached() {
        check(
            "0.0.0.0:7071",
            Some("arya.internal:7070"),
            Some("http://arya.internal:7071"),
        );
        check("0.0.0.0:7071", Some("10.0.0.5"), Some("http://10.0.0.5:7071"));
        check(
            "[::]:7071",
            Some("[2001:db8::1]:7070"),
            Some("http://[2001:db8::1]:7071"),
        );
        check("127.0.0.1:7071", Some("localhost:7070"), Some("http://localhost:7071"));
        check("[::1]:7071", Some("[::1]:7070"), Some("http://[::1]:7071"));
    }

    #[test]
    fn one_address_is_that_address() {
        check(
            "10.0.0.5:7071",
            Some("arya.internal:7070"),
            Some("http://10.0.0.5:7071"),
        );
        check("[2001:db8::1]:7071", None, Some("http://[2001:db8::1]:7071"));
    }

    #[test]
    fn from_elsewhere_a_loopback_address_is_none() {
        check("127.0.0.1:7071", Some("arya.example.com"), None);
        check("127.0.0.1:7071", Some("[::1]:7070"), None);
        check("127.0.0.1:7071", None, None);
        check("0.0.0.0:7071", Some("not a host/"), None);
    }

    #[test]
    fn what_is_stated_holds_for_everybody() {
        let stated = |text: &str| text.parse().map(Place::Stated);
        let behind_tls = stated("https://tools.example.com/").unwrap();
        assert!(behind_tls.is_https());
        let told = behind_tls.for_who_asked(Some("arya.example.com"));
        assert_eq!(told.as_deref(), Some("https://tools.example.com"));
        let plain = stated("http://10.0.0.5:81").unwrap();
        assert!(!plain.is_https());
        for text in [
            "",
            "tools",
            "ftp://a",
            "https://a/path",
            "https://a?b",
            "https://me@a",
            "https://",
        ] {
            assert_eq!(stated(text), Err(NoToolsUrl), "{text}");
        }
    }
}
