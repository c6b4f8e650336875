//! The kinds of requests, what each sends at which pace, and what its answer must be.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::pool::{Body, Connection, Error, Pool, connect};

/// The site's name as its users write it.
const HOST: &str = "emr.example.com";
/// Pieces of a paced body.
const PIECES: u32 = 16;

/// One request of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    kind: Kind,
    connection: Kept,
    number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Kept,
    Fresh,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `/version`, which the sample answers at once and never fails on its own.
    Version,
    /// A document of some bytes.
    Note,
    /// A document, sent over a time.
    Document { bytes: u32, over: Duration },
    /// An export, received over a time.
    Export { bytes: u32, over: Duration },
}

/// Who answered, where the answer says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    ByCanary,
    ByAnother,
}

/// Bytes of a scan.
const LARGE: u32 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
/// Lasts through several changes of shares.
const LONG: Duration = Duration::from_secs(4);

impl Ask {
    /// The mix: of 200 requests two are slow documents, two slow exports, two of each large, one of each long, 31 are
    /// notes; every third opens a connection of its own.
    pub(super) fn number(number: u64) -> Self {
        let kind = match number % 200 {
            0 | 100 => Kind::Document {
                bytes: 1024,
                over: SECOND,
            },
            25 | 125 => Kind::Export {
                bytes: 1024,
                over: SECOND,
            },
            50 | 150 => Kind::Document {
                bytes: LARGE,
                over: SECOND,
            },
            75 | 175 => Kind::Export {
                bytes: LARGE,
                over: SECOND,
            },
            85 => Kind::Document {
                bytes: 64 * 1024,
                over: LONG,
            },
            185 => Kind::Export {
                bytes: 64 * 1024,
                over: LONG,
            },
            n if n % 6 == 1 => Kind::Note,
            _ => Kind::Version,
        };
        Self {
            kind,
            connection: if number.is_multiple_of(3) {
                Kept::Fresh
            } else {
                Kept::Kept
            },
            number,
        }
    }

    pub(super) const fn is_slow(self) -> bool {
        matches!(self.kind, Kind::Document { .. } | Kind::Export { .. })
    }

    /// Bytes of the document that it sends.
    pub(super) fn upload_bytes(self) -> u64 {
        match self.kind {
            Kind::Document { bytes, .. } => u64::from(bytes),
            Kind::Note => NOTE.len() as u64,
            Kind::Version | Kind::Export { .. } => 0,
        }
    }

    /// Sends it and reads the whole answer.
    pub(super) async fn exchange(self, pool: &Pool) -> Result<Answer, Error> {
        let mut connection = match self.connection {
            Kept::Kept => pool.take().await?,
            Kept::Fresh => connect(&pool.address).await?,
        };
        let answer = read(&mut connection, self.request()).await?;
        if self.connection == Kept::Kept && connection.ready().await.is_ok() {
            pool.keep(connection);
        }
        Ok(answer)
    }

    fn request(self) -> Request<Body> {
        let document = format!("/api/documents/{}", self.number);
        let (method, path, body) = match self.kind {
            Kind::Version => ("GET", "/version".to_owned(), whole(Bytes::new())),
            Kind::Export { bytes, over } => (
                "GET",
                format!("/api/export?bytes={bytes}&over_ms={}", over.as_millis()),
                whole(Bytes::new()),
            ),
            Kind::Note => ("PUT", document, whole(NOTE)),
            Kind::Document { bytes, over } => ("PUT", document, paced(pattern(bytes), over)),
        };
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, HOST);
        if let Kind::Document { bytes: LARGE, .. } = self.kind {
            // The others go in chunks; the two ways take different paths through every server.
            request = request.header(header::CONTENT_LENGTH, LARGE);
        }
        request.body(body).expect("every part was written here")
    }

    /// What is wrong with an answer, or who gave it.
    pub(super) fn check(self, answer: &Answer) -> Result<Answered, String> {
        if answer.status != StatusCode::OK {
            let text = String::from_utf8_lossy(&answer.body);
            return Err(format!(
                "{} {}",
                answer.status,
                text.chars().take(200).collect::<String>()
            ));
        }
        if answer
            .announced
            .is_some_and(|length| length != answer.body.len() as u64)
        {
            return Err(format!(
                "{} bytes where {:?} were announced",
                answer.body.len(),
                answer.announced
            ));
        }
        match self.kind {
            Kind::Export { bytes, .. } => exported(&answer.body, bytes),
            Kind::Version => by(&parse(&answer.body)?),
            Kind::Note => self.taken(&answer.body, &NOTE),
            Kind::Document { bytes, .. } => self.taken(&answer.body, &pattern(bytes)),
        }
    }

    fn taken(self, answer: &[u8], sent: &Bytes) -> Result<Answered, String> {
        let answer = parse(answer)?;
        let expected =
            json!({"id": self.number, "bytes": sent.len(), "sha256": digest(sent), "version": answer["version"]});
        if answer == expected {
            by(&answer)
        } else {
            Err(format!("{answer} instead of {expected}"))
        }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    announced: Option<u64>,
    pub(super) body: Bytes,
}

/// Sends one request on a connection and reads the whole answer.
pub(super) async fn read(connection: &mut Connection, request: Request<Body>) -> Result<Answer, Error> {
    let response = connection.send_request(request).await?;
    let length = response.headers().get(header::CONTENT_LENGTH);
    let announced = length.and_then(|length| length.to_str().ok()?.parse().ok());
    Ok(Answer {
        status: response.status(),
        announced,
        body: response.into_body().collect().await?.to_bytes(),
    })
}

fn parse(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| format!("{error} in {:?}", String::from_utf8_lossy(body)))
}

fn by(answer: &Value) -> Result<Answered, String> {
    match answer["version"].as_str() {
        Some("1.1") => Ok(Answered::ByCanary),
        Some("1.0") => Ok(Answered::ByAnother),
        Some(_) | None => Err(format!("{answer} has no version of ours")),
    }
}

fn exported(body: &[u8], bytes: u32) -> Result<Answered, String> {
    let line = b"record,patient,date,kind,author\n";
    let good = body.len() == bytes as usize && body.iter().zip(line.iter().cycle()).all(|(found, said)| found == said);
    let what = || format!("{} bytes of export, or other ones, instead of {bytes}", body.len());
    good.then_some(Answered::ByAnother).ok_or_else(what)
}

const NOTE: Bytes = Bytes::from_static(b"{\"patient\":7,\"note\":\"seen\"}");
/// Bytes that repeat only after a prime number of them, so that a piece that is lost or doubled shows.
static PATTERN: LazyLock<Bytes> = LazyLock::new(|| (0..LARGE).map(|n| (n % 251) as u8).collect());

fn pattern(bytes: u32) -> Bytes {
    PATTERN.slice(..bytes as usize)
}

fn digest(bytes: &Bytes) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).boxed_unsync()
}

/// A body that is sent in pieces with pauses, without a length given before.
pub(super) fn paced(bytes: Bytes, over: Duration) -> Body {
    let piece = bytes.len().div_ceil(PIECES as usize).max(1);
    let mut pauses = tokio::time::interval(over / PIECES);
    pauses.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let pieces = stream::unfold(
        (BytesMut::from(bytes), pauses),
        move |(mut left, mut pauses)| async move {
            if left.is_empty() {
                return None;
            }
            pauses.tick().await;
            let next = left.split_to(piece.min(left.len())).freeze();
            Some((Ok::<_, Infallible>(Frame::data(next)), (left, pauses)))
        },
    );
    StreamBody::new(pieces).boxed_unsync()
}

/// Which version answered `count` requests, by their `/version`; connections are kept, cookies are as given.
pub async fn versions(address: &str, count: usize, cookie: Option<&str>) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    let mut connection = connect(address).await.unwrap();
    for _ in 0..count {
        if connection.ready().await.is_err() {
            connection = connect(address).await.unwrap();
        }
        let mut request = Request::builder().uri("/version").header(header::HOST, HOST);
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.body(whole(Bytes::new())).unwrap();
        let answer = read(&mut connection, request).await.unwrap();
        *seen
            .entry(String::from_utf8_lossy(&answer.body).into_owned())
            .or_default() += 1;
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_what_it_is_said_to_be() {
        let count = |wanted: fn(&Ask) -> bool| (0..200).map(Ask::number).filter(wanted).count();
        assert_eq!(count(|ask| matches!(ask.kind, Kind::Document { .. })), 5);
        assert_eq!(count(|ask| matches!(ask.kind, Kind::Export { .. })), 5);
        assert_eq!(count(|ask| ask.kind == Kind::Note), 31);
        let fresh = (0..600).map(Ask::number).filter(|ask| ask.connection == Kept::Fresh);
        assert_eq!(fresh.count(), 200);
    }

    #[test]
    fn an_answer_that_is_not_whole_is_bad() {
        let check = |number: u64, status: u16, body: &str, good: bool| {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                announced: None,
                body: Bytes::copy_from_slice(body.as_bytes()),
            };
            assert_eq!(Ask::number(number).check(&answer).is_ok(), good, "{body}");
        };
        check(2, 200, r#"{"version":"1.1"}"#, true);
        check(2, 200, r#"{"version":"1.1"#, false);
        check(2, 200, r#"{"version":"7"}"#, false);
        check(2, 503, r#"{"version":"1.1"}"#, false);
        let line = "record,patient,date,kind,author\n";
        check(25, 200, &line.repeat(32), true);
        check(25, 200, &line.repeat(31), false);
        check(25, 200, &line.to_uppercase().repeat(32), false);
        let taken = |id: u64| {
            let value = json!({"id": id, "bytes": NOTE.len(), "sha256": digest(&NOTE), "version": "1.0"});
            value.to_string()
        };
        check(7, 200, &taken(7), true);
        check(7, 200, &taken(8), false);
    }
}
