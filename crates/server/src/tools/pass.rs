//! Who may look at which monitor: a ticket for seconds, then a cookie for hours. Both say what they are for and carry a
//! code that only this process can make, so nothing has to be kept, and a restart ends them all.

use std::fmt;
use std::time::Duration;

use arya_judge::Timestamp;
use arya_plan::identity::DeploymentId;
use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

/// From a click to the redirect that follows it.
const TICKET_LIFE: Duration = Duration::from_secs(20);
/// As a session of Arya's.
const COOKIE_LIFE: Duration = crate::auth::SESSION_LIFE;
pub(super) const COOKIE: &str = "arya_tools";
/// A name is shown in the tools; more of it is not.
const NAME_MAX: usize = 64;

/// Makes and reads tickets and cookies.
#[derive(Clone)]
pub(crate) struct Passes([u8; 32]);

impl fmt::Debug for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passes(…)")
    }
}

/// What a pass opens, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) deployment: DeploymentId,
    pub(super) user: String,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Ticket,
    Cookie,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Cookie => "cookie",
        }
    }
}

impl Passes {
    /// # Errors
    /// The system gives no random numbers.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self(key))
    }

    pub(super) fn ticket(&self, deployment: &DeploymentId, user: &str, now: Timestamp) -> String {
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '@' | ' ');
        let pass = Pass {
            deployment: *deployment,
            user: user
                .chars()
                .filter(plain)
                .take(NAME_MAX)
                .collect::<String>()
                .replace(' ', "+"),
        };
        self.written(Kind::Ticket, &pass, now, TICKET_LIFE)
    }

    /// The cookie's header for a good ticket.
    pub(super) fn enter(&self, ticket: &str, now: Timestamp) -> Option<String> {
        let pass = self.read(Kind::Ticket, ticket, now)?;
        let value = self.written(Kind::Cookie, &pass, now, COOKIE_LIFE);
        let life = COOKIE_LIFE.as_secs();
        Some(format!(
            "{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={life}"
        ))
    }

    /// What the request's cookie opens.
    pub(super) fn shown(&self, headers: &HeaderMap, now: Timestamp) -> Option<Pass> {
        let cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut ours = cookies
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        self.read(Kind::Cookie, ours.next()?, now)
    }

    /// `DEPLOYMENT.UNTIL.USER.CODE`
    fn written(&self, kind: Kind, pass: &Pass, now: Timestamp, life: Duration) -> String {
        let until = now.as_second().saturating_add_unsigned(life.as_secs());
        let said = format!("{}.{until}.{}", pass.deployment, pass.user);
        let code = self.code(kind, &said);
        format!("{said}.{code}")
    }

    fn read(&self, kind: Kind, text: &str, now: Timestamp) -> Option<Pass> {
        let (said, code) = text.rsplit_once('.')?;
        // Comparing digests of both takes the same time wherever they differ.
        if Sha256::digest(code) != Sha256::digest(self.code(kind, said)) {
            return None;
        }
        let mut parts = said.splitn(3, '.');
        let (deployment, until, user) = (parts.next()?, parts.next()?, parts.next()?);
        (now.as_second() < until.parse().ok()?).then_some(())?;
        Some(Pass {
            deployment: deployment.parse().ok()?,
            user: user.to_owned(),
        })
    }

    /// Twice, as HMAC does it: what is said has no fixed length, and a digest alone could be gone on with.
    fn code(&self, kind: Kind, said: &str) -> String {
        let inner = Sha256::new()
            .chain_update(self.0)
            .chain_update(format!("{}:{said}", kind.word()));
        let outer = Sha256::new().chain_update(self.0).chain_update(inner.finalize());
        outer.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn id() -> DeploymentId {
        DeploymentId::new(uuid::Uuid::from_u128(7))
    }

    fn shown(passes: &Passes, cookie: &str, second: i64) -> Option<Pass> {
        let mut headers = HeaderMap::new();
        let pair = cookie.split(';').next().unwrap();
        headers.insert(header::COOKIE, format!("other=1; {pair}").parse().unwrap());
        passes.shown(&headers, at(second))
    }

    #[test]
    fn a_ticket_becomes_a_cookie_that_opens_one_deployment() {
        let passes = Passes::new().unwrap();
        let ticket = passes.ticket(&id(), "Ana B\r\n.", at(0));
        let cookie = passes.enter(&ticket, at(5)).unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Strict;"), "{cookie}");
        let pass = shown(&passes, &cookie, 3600).unwrap();
        assert_eq!((pass.deployment, pass.user.as_str()), (id(), "Ana+B"));
        assert_eq!(shown(&passes, &cookie, 13 * 3600), None, "it ends with the working day");
    }

    #[test]
    fn nothing_else_opens_anything() {
        let passes = Passes::new().unwrap();
        let ticket = passes.ticket(&id(), "Ana", at(0));
        assert_eq!(passes.enter(&ticket, at(21)), None, "too late");
        assert_eq!(Passes::new().unwrap().enter(&ticket, at(1)), None, "another process");
        assert_eq!(
            shown(&passes, &format!("{COOKIE}={ticket}"), 1),
            None,
            "a ticket is no cookie"
        );
        let other = ticket.replace("0007.", "0008.");
        assert_ne!(other, ticket);
        assert_eq!(passes.enter(&other, at(1)), None, "another deployment");
        for text in ["", ".", "...", "a.b.c.d"] {
            assert_eq!(passes.enter(text, at(1)), None);
        }
    }
}
