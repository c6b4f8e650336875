//! An independent reader of requests: heads by httparse, framing by this file alone, in the strictest reading of RFC 9112.

use std::fmt;

/// More than the balancer takes.
const HEADERS_MAX: usize = 200;
/// What the balancer adds, replaces, or frames anew; everything else must have been asked.
const OURS: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-amzn-trace-id",
];

/// One request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) method: String,
    /// Path and query; of a whole URL too.
    pub(crate) target: String,
    host: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, body) = (String::from_utf8_lossy(&self.host), String::from_utf8_lossy(&self.body));
        write!(f, "{} {} at {host:?} with {body:?}; ", self.method, self.target)?;
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(value)));
        f.debug_map().entries(headers).finish()
    }
}

impl Message {
    /// Panics unless this is what was asked, and says no more than it but for what a balancer adds.
    pub(crate) fn must_be(&self, asked: &Self) {
        let same = |message: &Self| (message.method.clone(), message.target.clone(), message.host.clone());
        assert_eq!(same(self), same(asked), "{self:?} was not asked, but {asked:?}");
        assert_eq!(self.body, asked.body, "{self:?} has another body than {asked:?}");
        for header in self.headers.iter().filter(|(name, _)| !OURS.contains(&name.as_str())) {
            assert!(asked.headers.contains(header), "nobody said {header:?} of {self:?}");
        }
        for name in [
            "host",
            "content-length",
            "transfer-encoding",
            "x-forwarded-for",
            "x-forwarded-proto",
        ] {
            let count = self.headers.iter().filter(|(header, _)| header == name).count();
            assert!(count <= 1, "{name} is there {count} times: {self:?}");
        }
    }
}

/// All requests at the start of these bytes, up to the first that is cut short or cannot be read.
pub(crate) fn messages(mut bytes: &[u8]) -> Vec<Message> {
    let mut found = Vec::new();
    while let Ok(Some((message, length))) = next(bytes) {
        found.push(message);
        bytes = &bytes[length..];
    }
    found
}

/// The first request with its length; nothing where more bytes are needed.
pub(crate) fn next(bytes: &[u8]) -> Result<Option<(Message, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err("a head without its first line".to_owned());
    };
    let headers: Vec<(String, Vec<u8>)> = request
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), header.value.trim_ascii().to_vec()))
        .collect();
    let Some((body, length)) = body(&headers, version, &bytes[head..])? else {
        return Ok(None);
    };
    let (authority, target) = split(target);
    let told = headers
        .iter()
        .find(|(name, _)| name == "host")
        .map(|(_, host)| host.clone());
    let message = Message {
        method: method.to_owned(),
        target,
        host: authority.or(told).unwrap_or_default(),
        headers,
        body,
    };
    Ok(Some((message, head + length)))
}

/// The authority of a whole URL, and the path with its query; a fragment concerns no server.
fn split(target: &str) -> (Option<Vec<u8>>, String) {
    let target = target.split('#').next().unwrap_or_default();
    let Some((_, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) else {
        return (None, target.to_owned());
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let path = &rest[end..];
    let slash = if path.starts_with('/') { "" } else { "/" };
    (Some(rest.as_bytes()[..end].to_vec()), format!("{slash}{path}"))
}

type Body = (Vec<u8>, usize);

fn body(headers: &[(String, Vec<u8>)], version: u8, bytes: &[u8]) -> Result<Option<Body>, String> {
    let all = |wanted: &'static str| {
        headers
            .iter()
            .filter(move |(name, _)| name == wanted)
            .map(|(_, value)| value)
    };
    let codings: Vec<_> = all("transfer-encoding").collect();
    match codings.as_slice() {
        [] => {}
        [one] if one.eq_ignore_ascii_case(b"chunked") && version == 1 => return chunked(bytes),
        _ => return Err("an unknown coding".to_owned()),
    }
    let mut lengths = all("content-length");
    let Some(first) = lengths.next() else {
        return Ok(Some((Vec::new(), 0)));
    };
    if first.is_empty() || !first.iter().all(u8::is_ascii_digit) {
        return Err("a length that is no number".to_owned());
    }
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<usize>().ok();
    let length = number(first).ok_or("a length beyond all bounds")?;
    if lengths.any(|other| number(other) != Some(length)) {
        return Err("two lengths".to_owned());
    }
    Ok(bytes.get(..length).map(|body| (body.to_vec(), length)))
}

/// `size[;extension]CRLF data CRLF`, and so on to a size of 0, then trailers to an empty line.
fn chunked(bytes: &[u8]) -> Result<Option<Body>, String> {
    let (mut at, mut body) = (0, Vec::new());
    loop {
        let Some(line) = line(&bytes[at..])? else {
            return Ok(None);
        };
        at += line.len() + 2;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let behind = line[digits..].trim_ascii_start();
        if digits == 0 || !(behind.is_empty() || behind[0] == b';') {
            return Err("a chunk without a size".to_owned());
        }
        let text = std::str::from_utf8(&line[..digits]).map_err(|error| error.to_string())?;
        let size = usize::from_str_radix(text, 16).map_err(|error| error.to_string())?;
        if size == 0 {
            break;
        }
        let Some(end) = at.checked_add(size).filter(|end| end + 2 <= bytes.len()) else {
            return Ok(None);
        };
        if &bytes[end..end + 2] != b"\r\n" {
            return Err("a chunk of another size".to_owned());
        }
        body.extend_from_slice(&bytes[at..end]);
        at = end + 2;
    }
    // Trailers reach nobody. What a line feed alone means in them is the HTTP library's to say: it is a byte like others.
    loop {
        let Some(end) = bytes[at..].iter().position(|&byte| byte == b'\r') else {
            return Ok(None);
        };
        match bytes.get(at + end + 1) {
            Some(b'\n') => at += end + 2,
            Some(_) => return Err("a trailer that ends oddly".to_owned()),
            None => return Ok(None),
        }
        if end == 0 {
            return Ok(Some((body, at)));
        }
    }
}

/// Up to the next CRLF. A line feed or a carriage return alone ends nothing.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, String> {
    let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return Ok(None);
    };
    match bytes.get(end..end + 2) {
        Some(b"\r\n") => Ok(Some(&bytes[..end])),
        None if bytes[end] == b'\r' => Ok(None),
        Some(_) | None => Err("a line that ends oddly".to_owned()),
    }
}
