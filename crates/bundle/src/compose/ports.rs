//! Published ports in their short and long forms. Must never know services.

use std::fmt;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::fields::number_text;

/// What Docker publishes; a load balancer in front of an app speaks only the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
    Sctp,
}

/// One entry of `ports`: a range of ports of the container and where the host publishes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMapping {
    /// Such as `127.0.0.1`; all addresses if absent.
    pub host_address: Option<String>,
    /// Absent: Docker picks a free port when the container starts.
    pub host: Option<RangeInclusive<u16>>,
    pub container: RangeInclusive<u16>,
    pub transport: Transport,
}

impl PortMapping {
    /// The container's port behind this port of the host, for TCP.
    #[must_use]
    pub fn behind(&self, host_port: u16) -> Option<u16> {
        let host = self
            .host
            .as_ref()
            .filter(|range| range.contains(&host_port) && self.transport == Transport::Tcp)?;
        // Many host ports for one container port: Docker takes one of them.
        let offset = if count(&self.container) == 1 {
            0
        } else {
            host_port - host.start()
        };
        self.container.start().checked_add(offset)
    }

    /// Whether the host publishes it on no other address than its own loopback, where no load balancer reaches it.
    #[must_use]
    pub fn only_on_loopback(&self) -> bool {
        let loopback = |address: &str| address == "::1" || address == "localhost" || address.starts_with("127.");
        self.host_address.as_deref().is_some_and(loopback)
    }

    /// `[ADDRESS:][HOST:]CONTAINER[/PROTOCOL]`, each port maybe a range.
    pub(super) fn short(text: &str) -> Result<Self, String> {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let transport = transport(protocol)?;
        let (rest, container) = match ports.rsplit_once(':') {
            Some((rest, container)) => (Some(rest), container),
            None => (None, ports),
        };
        let (address, host) = match rest {
            None => (None, None),
            Some(rest) => match rest.rsplit_once(':') {
                Some((address, host)) => (Some(address), Some(host)),
                None => (None, Some(rest)),
            },
        };
        let address = address.map(host_address).transpose()?;
        // `:80` and `127.0.0.1::80` leave the choice of the host's port to Docker. The first is also what is left of
        // `${PORT}:80` if nothing gives the variable a value, which is a finding and no fault of the file.
        let host = host.filter(|host| !host.is_empty()).map(range).transpose()?;
        Self {
            host_address: address,
            host,
            container: range(container)?,
            transport,
        }
        .checked(text)
    }

    /// `{target, published, host_ip, protocol, …}`.
    pub(super) fn long(map: &serde_json::Map<String, Value>) -> Result<Self, String> {
        let text = |key: &str| match map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number_text(number))),
            Some(_) => Err(format!("has a `{key}` that is neither text nor number")),
        };
        let container = range(&text("target")?.ok_or("names no `target`")?)?;
        let host = text("published")?
            .filter(|host| !host.is_empty())
            .map(|host| range(&host))
            .transpose()?;
        let transport = transport(text("protocol")?.as_deref().unwrap_or("tcp"))?;
        Self {
            host_address: text("host_ip")?
                .filter(|address| !address.is_empty())
                .map(|address| host_address(&address))
                .transpose()?,
            host,
            container,
            transport,
        }
        .checked("it")
    }

    fn checked(self, text: &str) -> Result<Self, String> {
        match &self.host {
            Some(host) if count(&self.container) > 1 && count(host) != count(&self.container) => {
                Err(format!("publishes ranges of different length (`{text}`)"))
            }
            _ => Ok(self),
        }
    }
}

impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |range: &RangeInclusive<u16>| match (range.start(), range.end()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        let host = self.host.as_ref().map_or_else(|| "any".to_owned(), show);
        let protocol = match self.transport {
            Transport::Tcp => "",
            Transport::Udp => "/udp",
            Transport::Sctp => "/sctp",
        };
        write!(f, "{host}:{}{protocol}", show(&self.container))
    }
}

fn count(range: &RangeInclusive<u16>) -> u32 {
    u32::from(*range.end()) - u32::from(*range.start()) + 1
}

fn transport(protocol: &str) -> Result<Transport, String> {
    match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Transport::Tcp),
        "udp" => Ok(Transport::Udp),
        "sctp" => Ok(Transport::Sctp),
        _ => Err(format!("has the unknown protocol `{protocol}`")),
    }
}

fn host_address(text: &str) -> Result<String, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    match bare.parse::<std::net::IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(format!("publishes on `{text}`, which is no IP address")),
    }
}

pub(super) fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err(format!("has `{text}` where a port (1 to 65535) must stand")),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        Err(format!("has the port range `{text}`, which ends before it starts"))
    } else {
        Ok(first..=last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, address: Option<&str>, shown: &str) {
        let mapping = PortMapping::short(text).unwrap();
        assert_eq!(mapping.host_address.as_deref(), address, "{text}");
        assert_eq!(mapping.to_string(), shown, "{text}");
    }

    #[test]
    fn short_forms_are_read() {
        check("80", None, "any:80");
        check("8080:80", None, "8080:80");
        check("127.0.0.1:8080:80", Some("127.0.0.1"), "8080:80");
        check("127.0.0.1:8080:80/tcp", Some("127.0.0.1"), "8080:80");
        check("127.0.0.1::80", Some("127.0.0.1"), "any:80");
        check(":80", None, "any:80");
        check("38412:38412/SCTP", None, "38412:38412/sctp");
        check("[::1]:8080:80", Some("::1"), "8080:80");
        check("6060:6060/udp", None, "6060:6060/udp");
        check("3000-3005", None, "any:3000-3005");
        check("9090-9091:8080-8081", None, "9090-9091:8080-8081");
        check("9090-9095:80", None, "9090-9095:80");
    }

    #[test]
    fn odd_ports_are_refused() {
        for text in [
            "",
            ":",
            "80:",
            "0",
            "65536",
            "-1",
            "+80",
            "80-",
            "90-80",
            "80/",
            "80/x",
            "a:b",
            "1:2:3:4",
            "x:80:80",
            "80-82:80-81",
            "8080:80:",
            " 80",
            "8080:80/tcp/udp",
            "٣:80",
        ] {
            assert!(PortMapping::short(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_container_port_behind_a_host_port_is_found() {
        let behind = |text: &str, port| PortMapping::short(text).unwrap().behind(port);
        assert_eq!(behind("8080:80", 8080), Some(80));
        assert_eq!(behind("8080:80", 80), None);
        assert_eq!(behind("9090-9091:8080-8081", 9091), Some(8081));
        assert_eq!(behind("9090-9095:80", 9093), Some(80));
        assert_eq!(behind("8080:80/udp", 8080), None);
        assert_eq!(behind("80", 80), None);
    }
}
