use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
/// A second that a date can be written for.
const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn at(minutes: u32) -> SystemTime {
    NOW + minutes * MINUTE
}

fn ends_at(minutes: u32) -> Tenure {
    Tenure::Ends {
        at: Timestamp::try_from(at(minutes)).unwrap(),
    }
}

fn credentials(end: Option<SystemTime>, token: Option<&str>, from: &[Feature]) -> Credentials {
    let mut credentials = Credentials::new("key", "secret", token.map(Into::into), end, "tests");
    credentials.set_property(from.to_vec());
    credentials
}

fn told(end: Option<u32>, token: Option<&str>, from: &[Feature]) -> Tenure {
    let credentials = credentials(end.map(at), token, from);
    let kind = Kind::of(&credentials);
    tenure(&Kept::new(credentials, NOW), kind, None)
}

#[test]
fn a_key_has_no_end_and_a_session_has_one_said_or_not() {
    assert_eq!(told(None, None, &[Feature::CredentialsProfile]), Tenure::Lasting);
    assert_eq!(
        told(None, Some("token"), &[Feature::CredentialsProfile]),
        Tenure::Session
    );
    assert_eq!(told(Some(60), Some("token"), &[]), ends_at(60));
    assert_eq!(told(Some(60), Some("token"), &[Feature::CredentialsSso]), ends_at(60));
}

#[test]
fn what_renews_by_itself_lasts_until_it_is_not_renewed() {
    for from in [
        Feature::CredentialsStsAssumeRole,
        Feature::CredentialsImds,
        Feature::CredentialsProcess,
    ] {
        assert_eq!(told(Some(60), Some("token"), &[from]), Tenure::Lasting);
    }
    let stays = |from| {
        let credentials = credentials(Some(at(60)), Some("token"), &[from]);
        let kind = Kind::of(&credentials);
        let kept = Kept {
            last_try: LastTry::GaveTheSame,
            ..Kept::new(credentials, NOW)
        };
        tenure(&kept, kind, None)
    };
    assert_eq!(stays(Feature::CredentialsStsAssumeRole), ends_at(60));
    assert_eq!(stays(Feature::CredentialsImds), Tenure::Lasting, "they are given late");
}

#[test]
fn a_login_lasts_as_long_as_it_says_while_it_gives_new_ones() {
    let credentials = credentials(Some(at(60)), Some("token"), &[Feature::CredentialsSso]);
    let mut kept = Kept::new(credentials, NOW);
    let until = Timestamp::try_from(at(480)).ok();
    assert_eq!(tenure(&kept, Kind::Login, until), ends_at(480));
    kept.last_try = LastTry::GaveTheSame;
    assert_eq!(tenure(&kept, Kind::Login, until), ends_at(60));
}

#[test]
fn what_the_environment_says_of_its_session_counts() {
    let credentials = credentials(None, Some("token"), &[Feature::CredentialsEnvVars]);
    let kind = Kind::of(&credentials);
    let said = Timestamp::try_from(at(30)).ok();
    assert_eq!(tenure(&Kept::new(credentials, NOW), kind, said), ends_at(30));
}

#[test]
fn they_are_renewed_half_an_hour_before_or_at_half_of_a_short_life() {
    let wants =
        |life: u32, passed: u32| Kept::new(credentials(Some(at(life)), None, &[]), NOW).wants_renewal(at(passed));
    assert!(!wants(480, 449) && wants(480, 451) && wants(480, 481));
    assert!(!wants(15, 7) && wants(15, 8));
    let lasting = Kept::new(credentials(None, None, &[]), NOW);
    assert!(!lasting.wants_renewal(at(4)) && lasting.wants_renewal(at(5)));
}

/// Gives credentials of one kind once, and then says no.
#[derive(Debug)]
struct Once(AtomicUsize, Feature);

impl ProvideCredentials for Once {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(credentials(Some(at(60)), Some("token"), std::slice::from_ref(&self.1))),
            _ => Err(CredentialsError::not_loaded("the login is over")),
        })
    }
}

fn once(from: Feature) -> Held {
    Held::new(SharedCredentialsProvider::new(Once(AtomicUsize::new(0), from)))
}

#[tokio::test]
async fn those_that_cannot_be_renewed_are_used_until_they_end_and_no_longer() {
    let held = once(Feature::CredentialsStsAssumeRole);
    assert_eq!(held.kept(at(0)).await.unwrap().last_try, LastTry::Gave);
    for failed in 0..3 {
        let kept = held.kept(at(31) + failed * FAILED_TRIED_AGAIN_AFTER).await.unwrap();
        let settled = if failed < 2 { LastTry::Gave } else { LastTry::Failed };
        assert_eq!((kept.last_try, kept.failures), (settled, failed + 1));
    }
    assert!(held.kept(at(59)).await.is_ok());
    assert!(held.kept(at(61)).await.is_err());
}

#[tokio::test]
async fn a_source_that_says_no_gives_the_end_whatever_it_is_and_after_it_too() {
    for from in [
        Feature::CredentialsImds,
        Feature::CredentialsHttp,
        Feature::CredentialsProcess,
        Feature::CredentialsStsAssumeRole,
    ] {
        let held = once(from.clone());
        assert_eq!(held.tenure_at(at(0)).await, Tenure::Lasting);
        // A single failure, also a minute before the end, takes nobody's users away.
        for seconds in [0, 10] {
            let asked = at(31) + Duration::from_secs(seconds);
            assert_eq!(held.tenure_at(asked).await, Tenure::Lasting, "{from:?}");
        }
        for asked in [32, 59, 61, 120] {
            assert_eq!(
                held.tenure_at(at(asked)).await,
                ends_at(60),
                "{from:?} after {asked} min"
            );
        }
    }
}

#[test]
fn the_newest_login_counts_and_what_is_none_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    assert_eq!(newest_login(folder.path()), None);
    put("a.json", r#"{"accessToken": "x", "expiresAt": "2026-01-01T08:00:00Z"}"#);
    put("b.json", r#"{"accessToken": "x", "expiresAt": "2026-01-01T16:00:00Z"}"#);
    put(
        "client.json",
        r#"{"clientSecret": "x", "expiresAt": "2026-04-01T16:00:00Z"}"#,
    );
    put("broken.json", "{");
    assert_eq!(newest_login(folder.path()), "2026-01-01T16:00:00Z".parse().ok());
}
