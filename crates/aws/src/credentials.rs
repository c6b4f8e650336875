//! Credentials that are asked for anew long before they end: whether they renew is then known while there is still time
//! to take users away.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arya_judge::Timestamp;
use arya_plan::surroundings::Tenure;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature as Feature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;

/// Asked for anew so long before their end, or at half of their life where that is shorter: twice the margin that the
/// planner wants, so that a failed renewal is noticed before users must go.
const RENEWED_BEFORE: Duration = Duration::from_secs(30 * 60);
/// After a try to renew, successful or not.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// After a try that failed: until it has failed so often in a row, it may be the network's mood, and nobody is taken away.
const FAILED_TRIED_AGAIN_AFTER: Duration = Duration::from_secs(10);
const FAILED_AT_MOST: u32 = 3;
/// Those that say no end are read again, since a person may have put others in their place.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(300);
/// As the SDK gives a source of credentials by default.
const GIVEN_WITHIN: Duration = Duration::from_secs(5);
/// Set by tools that hand a session over in the environment, beside the credentials themselves.
const ENVIRONMENT_SAYS: &str = "AWS_CREDENTIAL_EXPIRATION";

/// The provider of everything that we sign.
#[derive(Debug, Clone)]
pub(crate) struct Held(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: SharedCredentialsProvider,
    kept: Mutex<Option<Kept>>,
    /// The key whose account was asked for last.
    asked: Mutex<Option<String>>,
}

#[derive(Debug, Clone)]
struct Kept {
    credentials: Credentials,
    /// When they were given, and last asked for.
    given: SystemTime,
    tried: SystemTime,
    last_try: LastTry,
    /// Tries in a row that failed.
    failures: u32,
}

/// What came of asking their source again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastTry {
    /// These themselves.
    Gave,
    /// The same end: their source has no newer ones yet.
    GaveTheSame,
    Failed,
}

impl Kept {
    fn new(credentials: Credentials, now: SystemTime) -> Self {
        Self {
            credentials,
            given: now,
            tried: now,
            last_try: LastTry::Gave,
            failures: 0,
        }
    }

    fn wants_renewal(&self, now: SystemTime) -> bool {
        let since = |then: SystemTime| now.duration_since(then).unwrap_or_default();
        let Some(end) = self.credentials.expiry() else {
            return since(self.given) >= READ_AGAIN_AFTER;
        };
        let left = end.duration_since(now).unwrap_or_default();
        let life = end.duration_since(self.given).unwrap_or_default();
        let again_after = if (1..FAILED_AT_MOST).contains(&self.failures) {
            FAILED_TRIED_AGAIN_AFTER
        } else {
            TRIED_AGAIN_AFTER
        };
        left.is_zero() || (left < RENEWED_BEFORE.min(life / 2) && since(self.tried) >= again_after)
    }

    fn holds(&self, now: SystemTime) -> bool {
        self.credentials.expiry().is_none_or(|end| end > now)
    }
}

impl Held {
    pub(crate) fn new(source: SharedCredentialsProvider) -> Self {
        Self(Arc::new(Inner {
            source,
            kept: Mutex::default(),
            asked: Mutex::default(),
        }))
    }

    /// The key's name, where it is not the one that was noted: new credentials may be another account's. Without
    /// credentials the next call says so.
    pub(crate) async fn unknown_key(&self) -> Option<String> {
        let kept = self.kept(now()).await.ok()?;
        let key = kept.credentials.access_key_id();
        (self.0.asked.lock().await.as_deref() != Some(key)).then(|| key.to_owned())
    }

    /// The key's name; `None` where there are no credentials.
    pub(crate) async fn key(&self) -> Option<String> {
        let kept = self.kept(now()).await.ok()?;
        Some(kept.credentials.access_key_id().to_owned())
    }

    pub(crate) async fn note_key(&self, key: Option<String>) {
        *self.0.asked.lock().await = key;
    }

    async fn kept(&self, now: SystemTime) -> Result<Kept, CredentialsError> {
        let mut slot = self.0.kept.lock().await;
        let before = match slot.as_ref() {
            Some(kept) if !kept.wants_renewal(now) => return Ok(kept.clone()),
            other => other.cloned(),
        };
        let asked = tokio::time::timeout(GIVEN_WITHIN, self.0.source.provide_credentials()).await;
        let given = asked.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(GIVEN_WITHIN)));
        let kept = match (given, before) {
            (Ok(same), Some(before)) if same.expiry().is_some() && same.expiry() == before.credentials.expiry() => {
                Kept {
                    tried: now,
                    last_try: LastTry::GaveTheSame,
                    failures: 0,
                    ..before
                }
            }
            (Ok(new), _) => Kept::new(new, now),
            (Err(error), Some(before)) => {
                tracing::warn!(%error, "the credentials could not be renewed");
                let failures = before.failures + 1;
                let is_settled = failures >= FAILED_AT_MOST || !before.holds(now);
                let failed = Kept {
                    tried: now,
                    last_try: if is_settled { LastTry::Failed } else { before.last_try },
                    failures,
                    ..before
                };
                if !failed.holds(now) {
                    // Of no more use, but their end is known.
                    *slot = Some(failed);
                    return Err(error);
                }
                failed
            }
            (Err(error), None) => return Err(error),
        };
        *slot = Some(kept.clone());
        Ok(kept)
    }

    /// The end of those that sign now, whether others follow or not.
    pub(crate) async fn session_ends(&self) -> Option<Timestamp> {
        let kept = self.kept(now()).await.ok()?;
        kept.credentials.expiry().and_then(|end| Timestamp::try_from(end).ok())
    }

    pub(crate) async fn tenure(&self) -> Tenure {
        self.tenure_at(now()).await
    }

    /// How long they hold, or held. A *no* of a source that never gave any is no answer to that; the next call tells
    /// it.
    async fn tenure_at(&self, now: SystemTime) -> Tenure {
        let kept = match self.kept(now).await {
            Ok(kept) => Some(kept),
            Err(_) => self.0.kept.lock().await.clone(),
        };
        let Some(kept) = kept else {
            return Tenure::Lasting;
        };
        let kind = Kind::of(&kept.credentials);
        let said = match kind {
            Kind::Environment => std::env::var(ENVIRONMENT_SAYS).ok().and_then(|text| text.parse().ok()),
            Kind::Login => logged_in_until().await,
            Kind::Renewing | Kind::Session | Kind::Key => None,
        };
        tenure(&kept, kind, said)
    }
}

impl ProvideCredentials for Held {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.kept(now()).await.map(|kept| kept.credentials) })
    }
}

/// The one clock that AWS and we have in common: the ends of credentials are times of day, and so is when an object was
/// written.
#[expect(
    clippy::disallowed_methods,
    reason = "no look is decided by it; the planner gets the end as a value"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Where credentials come from, as far as it says how they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A key of a user: no end.
    Key,
    /// Their source gives new ones for as long as it stands: a role, an instance, a program.
    Renewing,
    /// New ones are given until the login ends.
    Login,
    /// A session's in the environment.
    Environment,
    /// A session's.
    Session,
}

impl Kind {
    fn of(credentials: &Credentials) -> Self {
        let from: &[Feature] = credentials.get_property::<Vec<Feature>>().map_or(&[], Vec::as_slice);
        let is_any = |these: &[Feature]| from.iter().any(|one| these.contains(one));
        if is_any(&[
            Feature::CredentialsSso,
            Feature::CredentialsLogin,
            Feature::CredentialsProfileLogin,
        ]) {
            Self::Login
        } else if credentials.expiry().is_some()
            && is_any(&[
                Feature::CredentialsImds,
                Feature::CredentialsHttp,
                Feature::CredentialsProcess,
                Feature::CredentialsStsAssumeRole,
                Feature::CredentialsStsAssumeRoleWebId,
                Feature::CredentialsEnvVarsStsWebIdToken,
                Feature::CredentialsProfileStsWebIdToken,
            ])
        {
            Self::Renewing
        } else if credentials.session_token().is_none() && credentials.expiry().is_none() {
            Self::Key
        } else if is_any(&[Feature::CredentialsEnvVars]) {
            Self::Environment
        } else {
            Self::Session
        }
    }
}

fn tenure(kept: &Kept, kind: Kind, said: Option<Timestamp>) -> Tenure {
    let end = kept.credentials.expiry().and_then(|end| Timestamp::try_from(end).ok());
    let ends = |at: Option<Timestamp>| at.map_or(Tenure::Session, |at| Tenure::Ends { at });
    match (kind, kept.last_try) {
        (Kind::Key, _) => Tenure::Lasting,
        // Who says no is not waited for, wherever he is.
        (_, LastTry::Failed) => ends(end),
        // Instances are given new ones only minutes before the old ones end.
        (Kind::Renewing, LastTry::GaveTheSame) if !gives_late(&kept.credentials) => ends(end),
        (Kind::Renewing, _) => Tenure::Lasting,
        // A login is not longer than what was given for it, once nothing more is given.
        (Kind::Login, LastTry::GaveTheSame) => ends(end),
        (Kind::Login, LastTry::Gave) => ends(end.max(said)),
        (Kind::Environment, _) => ends(end.or(said)),
        (Kind::Session, _) => ends(end),
    }
}

/// Whether the source hands new ones out only shortly before the old ones end (EC2 user guide, "Retrieve security
/// credentials from instance metadata": at least five minutes before).
fn gives_late(credentials: &Credentials) -> bool {
    let from = credentials.get_property::<Vec<Feature>>();
    let late = [
        Feature::CredentialsImds,
        Feature::CredentialsHttp,
        Feature::CredentialsProcess,
    ];
    from.is_some_and(|from| from.iter().any(|one| late.contains(one)))
}

/// The end of the newest login of IAM Identity Center that the standard tools keep.
async fn logged_in_until() -> Option<Timestamp> {
    let folder = Path::new(&std::env::var_os("HOME")?).join(".aws/sso/cache");
    tokio::task::spawn_blocking(move || newest_login(&folder)).await.ok()?
}

fn newest_login(folder: &Path) -> Option<Timestamp> {
    let until = |path: std::path::PathBuf| -> Option<Timestamp> {
        let token: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        token.get("accessToken")?;
        token.get("expiresAt")?.as_str()?.parse().ok()
    };
    let files = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    files.filter_map(|file| until(file.path())).max()
}

#[cfg(test)]
mod tests;
