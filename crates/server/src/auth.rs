//! Who is asking: API tokens, browser sessions, and the one-time link that starts a session.
//!
//! Secrets are 256 random bits; only their SHA-256 is kept, so that comparing is looking up a hash and takes the same
//! time for every wrong guess. It must never know routes or pages.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

/// A working day and its evening; after it the link or a token is asked for again.
pub(crate) const SESSION_LIFE: Duration = Duration::from_secs(12 * 3600);
/// More browsers than this at once are not a team; the oldest session ends first.
const SESSIONS_MAX: usize = 256;
/// Wrong attempts within [`ATTEMPT_WINDOW`], all callers together. Guessing 256 bits is hopeless anyway; this keeps it
/// quiet. What is right is let in whatever others tried.
const ATTEMPTS_MAX: usize = 10;
const ATTEMPT_WINDOW: Duration = Duration::from_secs(60);

/// Cookies of our name that are looked at in one request; each costs a hash.
const COOKIES_MAX: usize = 8;

/// The session's cookie.
pub(crate) const COOKIE: &str = "arya_session";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// As the event feed names them.
    pub(crate) name: String,
    pub(crate) by: Credential,
}

/// What the caller showed. A cookie is sent by browsers unasked, so it needs more checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    Token,
    Session,
}

/// Why a login was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoginRefusal {
    #[error(
        "This link or token was used already, is too old, or never was one. You are not logged in. Paste the API token, or start the server again for a new link."
    )]
    Unknown,
    #[error("Too many wrong attempts within a minute. You are not logged in. Wait a minute, then try again.")]
    TooMany,
}

/// The login state; cheap to clone.
#[derive(Clone)]
pub(crate) struct Auth(Arc<Inner>);

struct Inner {
    tokens: Vec<(Hash, String)>,
    changing: Mutex<Changing>,
}

type Hash = [u8; 32];

#[derive(Default)]
struct Changing {
    /// One-time links that were not used yet.
    links: HashMap<Hash, Instant>,
    sessions: HashMap<Hash, Session>,
    wrong: VecDeque<Instant>,
}

struct Session {
    name: String,
    ends: Instant,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(…)")
    }
}

/// 256 random bits in hexadecimal digits.
pub(crate) fn secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

impl Auth {
    /// `tokens` are API tokens with the name of whoever holds them.
    pub(crate) fn new<'t>(tokens: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let tokens = tokens
            .into_iter()
            .map(|(token, name)| (hash(token), name.to_owned()))
            .collect();
        Self(Arc::new(Inner {
            tokens,
            changing: Mutex::default(),
        }))
    }

    fn changing(&self) -> std::sync::MutexGuard<'_, Changing> {
        // The maps are whole after every statement, so a panic elsewhere does not spoil them.
        self.0.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The secret of a link that works once, within `life`.
    pub(crate) fn login_link(&self, life: Duration) -> Result<String, getrandom::Error> {
        let link = secret()?;
        self.changing().links.insert(hash(&link), Instant::now() + life);
        Ok(link)
    }

    /// Exchanges a one-time link's secret, or an API token, for a session. Returns the cookie's value.
    pub(crate) fn login(&self, presented: &str) -> Result<String, LoginRefusal> {
        self.login_at(presented, Instant::now())
    }

    fn login_at(&self, presented: &str, now: Instant) -> Result<String, LoginRefusal> {
        let wanted = hash(presented.trim());
        let token_name = self.token_name(&wanted);
        let session = secret().map_err(|_| LoginRefusal::Unknown)?;
        let mut changing = self.changing();
        let link_is_good = changing.links.remove(&wanted).is_some_and(|ends| now < ends);
        let name = match (token_name, link_is_good) {
            (Some(name), _) => name,
            (None, true) => "You".to_owned(),
            (None, false) => return Err(changing.missed(now)),
        };
        changing.make_room(now);
        changing.sessions.insert(
            hash(&session),
            Session {
                name,
                ends: now + SESSION_LIFE,
            },
        );
        Ok(session)
    }

    /// Ends the session whose cookie the request carries.
    pub(crate) fn logout(&self, headers: &HeaderMap) {
        for session in cookies(headers).take(COOKIES_MAX) {
            self.changing().sessions.remove(&hash(session));
        }
    }

    /// Who sent these headers; `None` = nobody we know.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        self.caller_at(headers, Instant::now())
    }

    fn caller_at(&self, headers: &HeaderMap, now: Instant) -> Option<Caller> {
        // A request that shows a token is judged by it alone: a wrong token is not rescued by a cookie.
        if let Some(authorization) = headers.get(header::AUTHORIZATION) {
            // Of two a proxy and we might each believe another one.
            if headers.get_all(header::AUTHORIZATION).iter().count() > 1 {
                return None;
            }
            let token = bearer(authorization.to_str().ok()?)?;
            return self.token_name(&hash(token)).map(|name| Caller {
                name,
                by: Credential::Token,
            });
        }
        let wanted: Vec<Hash> = cookies(headers).take(COOKIES_MAX).map(hash).collect();
        let changing = self.changing();
        let known = |wanted: &Hash| changing.sessions.get(wanted).filter(|session| now < session.ends);
        let session = wanted.iter().find_map(known)?;
        Some(Caller {
            name: session.name.clone(),
            by: Credential::Session,
        })
    }

    fn token_name(&self, wanted: &Hash) -> Option<String> {
        self.0
            .tokens
            .iter()
            .find(|(known, _)| known == wanted)
            .map(|(_, name)| name.clone())
    }
}

impl Changing {
    /// Counts a wrong attempt, unless there were too many.
    fn missed(&mut self, now: Instant) -> LoginRefusal {
        self.wrong.retain(|at| now.duration_since(*at) < ATTEMPT_WINDOW);
        if self.wrong.len() >= ATTEMPTS_MAX {
            return LoginRefusal::TooMany;
        }
        self.wrong.push_back(now);
        LoginRefusal::Unknown
    }

    fn make_room(&mut self, now: Instant) {
        self.sessions.retain(|_, session| now < session.ends);
        if self.sessions.len() >= SESSIONS_MAX
            && let Some(oldest) = self
                .sessions
                .iter()
                .min_by_key(|(_, session)| session.ends)
                .map(|(hash, _)| *hash)
        {
            self.sessions.remove(&oldest);
        }
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The values of every cookie with our name. Another server of the same host may have set one too.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// The `Set-Cookie` of a new session. Without `Secure`, because the server speaks plain HTTP on the loopback address.
pub(crate) fn set_cookie(session: &str) -> String {
    format!(
        "{COOKIE}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}",
        SESSION_LIFE.as_secs()
    )
}

/// The `Set-Cookie` that makes a browser forget its session.
pub(crate) fn forget_cookie() -> String {
    format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    const LIFE: Duration = Duration::from_secs(15 * 60);

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    fn auth() -> Auth {
        Auth::new([("good", "CI")])
    }

    #[test]
    fn a_token_says_who_asks() {
        let who = |value: &str| {
            auth()
                .caller(&headers(header::AUTHORIZATION, value))
                .map(|caller| caller.name)
        };
        assert_eq!(who("Bearer good").as_deref(), Some("CI"));
        assert_eq!(who("bearer good").as_deref(), Some("CI"));
        assert_eq!(who("Bearer bad"), None);
        assert_eq!(who("Basic good"), None);
        assert_eq!(who("good"), None);
    }

    #[test]
    fn a_link_works_once() {
        let auth = auth();
        let link = auth.login_link(LIFE).unwrap();
        let session = auth.login(&link).unwrap();
        let caller = auth
            .caller(&headers(header::COOKIE, &format!("a=b; {COOKIE}={session}")))
            .unwrap();
        assert_eq!(caller.by, Credential::Session);
        assert_eq!(auth.login(&link), Err(LoginRefusal::Unknown));
    }

    #[test]
    fn a_link_works_no_longer_than_its_life() {
        let auth = auth();
        let [early, late] = [(); 2].map(|()| auth.login_link(LIFE).unwrap());
        let made = Instant::now();
        assert!(auth.login_at(&early, made + LIFE - Duration::from_secs(60)).is_ok());
        assert_eq!(auth.login_at(&late, made + LIFE), Err(LoginRefusal::Unknown));
    }

    #[test]
    fn strange_cookies_are_nobody_and_hide_nobody() {
        let auth = auth();
        let session = auth.login("good").unwrap();
        let knows = |lines: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                let line = String::from_utf8_lossy(line).replace("SESSION", &session).into_bytes();
                headers.append(header::COOKIE, axum::http::HeaderValue::from_bytes(&line).unwrap());
            }
            auth.caller(&headers).is_some()
        };
        for good in [
            &b"arya_session=SESSION"[..],
            b";;; ;arya_session=SESSION;;",
            b"arya_session=forged; arya_session=SESSION",
            b"=; arya_session; arya_session=; arya_session=SESSION",
            b" arya_session=SESSION ; x=y",
        ] {
            assert!(knows(&[good]), "{}", String::from_utf8_lossy(good));
        }
        assert!(knows(&[b"\xff\xfe=\xff", b"arya_session=SESSION"]));
        for bad in [
            &b""[..],
            b"arya_session",
            b"arya_session=",
            b"arya_session=\"SESSION\"",
            b"Arya_session=SESSION",
            b"xarya_session=SESSION",
            b"arya_session =SESSION",
            b"arya_session=SESSIONx",
            b"arya_session=SESSION,b=c",
            b"arya_session=%53ESSION",
            b"arya_session=0000000000000000000000000000000000000000000000000000000000000000",
        ] {
            assert!(!knows(&[bad]), "{}", String::from_utf8_lossy(bad));
        }
        let many = "arya_session=x;".repeat(COOKIES_MAX) + "arya_session=SESSION";
        assert!(!knows(&[many.as_bytes()]));
        let huge = "arya_session=".to_owned() + &"x".repeat(1 << 20);
        assert!(!knows(&[huge.as_bytes()]));
    }

    #[test]
    fn two_tokens_are_none() {
        let mut two = headers(header::AUTHORIZATION, "Bearer good");
        two.append(header::AUTHORIZATION, "Bearer good".parse().unwrap());
        assert_eq!(auth().caller(&two), None);
    }

    #[test]
    fn a_session_ends() {
        let (auth, now) = (auth(), Instant::now());
        let session = auth.login_at("good", now).unwrap();
        let cookie = headers(header::COOKIE, &format!("{COOKIE}={session}"));
        assert!(
            auth.caller_at(&cookie, now + SESSION_LIFE - Duration::from_secs(1))
                .is_some()
        );
        assert!(auth.caller_at(&cookie, now + SESSION_LIFE).is_none());
        auth.logout(&cookie);
        assert!(auth.caller_at(&cookie, now).is_none());
    }

    #[test]
    fn guessing_is_slowed_down_and_locks_nobody_out() {
        let (auth, now) = (auth(), Instant::now());
        let link = auth.login_link(LIFE).unwrap();
        for _ in 0..ATTEMPTS_MAX {
            assert_eq!(auth.login_at("bad", now), Err(LoginRefusal::Unknown));
        }
        assert_eq!(auth.login_at("bad", now), Err(LoginRefusal::TooMany));
        assert!(auth.login_at("good", now).is_ok());
        assert!(auth.login_at(&link, now).is_ok());
        assert_eq!(auth.login_at("bad", now + ATTEMPT_WINDOW), Err(LoginRefusal::Unknown));
    }

    #[test]
    fn sessions_are_bounded() {
        let auth = auth();
        for _ in 0..SESSIONS_MAX + 3 {
            auth.login("good").unwrap();
        }
        assert_eq!(auth.changing().sessions.len(), SESSIONS_MAX);
    }

    #[test]
    fn a_wrong_token_is_not_rescued_by_a_cookie() {
        let auth = auth();
        let session = auth.login("good").unwrap();
        let mut both = headers(header::COOKIE, &format!("{COOKIE}={session}"));
        both.insert(header::AUTHORIZATION, "Bearer bad".parse().unwrap());
        assert_eq!(auth.caller(&both), None);
    }

    proptest::proptest! {
        #[test]
        fn no_header_brings_the_reader_down(value in "[ -~]{0,60}", bytes in proptest::collection::vec(0x20_u8.., 0..60)) {
            let auth = auth();
            for name in [header::COOKIE, header::AUTHORIZATION] {
                for value in [value.as_bytes(), &bytes] {
                    let mut headers = HeaderMap::new();
                    headers.extend(axum::http::HeaderValue::from_bytes(value).ok().map(|value| (name.clone(), value)));
                    let trusted = auth.caller(&headers).is_some();
                    proptest::prop_assert!(!trusted || value.trim_ascii().ends_with(b"good"));
                    auth.logout(&headers);
                }
            }
        }
    }
}
