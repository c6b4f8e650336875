//! Files that come, stay and go.

use super::*;

const COMPOSE: &[u8] = b"services:\n  web:\n    image: emr:1.0\n    ports: ['8080:8080']\n";

const UPLOADED: SystemTime = SystemTime::UNIX_EPOCH;

fn open() -> (tempfile::TempDir, Artifacts) {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(&dir.path().join("artifacts")).unwrap();
    (dir, artifacts)
}

async fn upload(artifacts: &Artifacts, bytes: &[u8]) -> Result<ArtifactDocument, ArtifactError> {
    upload_as(artifacts, bytes, Meant::Described).await
}

async fn upload_as(artifacts: &Artifacts, bytes: &[u8], meant: Meant) -> Result<ArtifactDocument, ArtifactError> {
    let mut arrival = artifacts.arrive().unwrap();
    for chunk in bytes.chunks(bytes.len() / 7 + 1) {
        arrival.push(chunk).await?;
    }
    artifacts.keep(arrival, Some("compose.yaml"), meant, UPLOADED).await
}

fn names(artifacts: &Artifacts) -> Vec<String> {
    let entries = std::fs::read_dir(artifacts.dir()).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn a_file_is_kept_under_its_digest_once() {
    let (_dir, artifacts) = open();
    let first = upload(&artifacts, COMPOSE).await.unwrap();
    let second = upload(&artifacts, COMPOSE).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(names(&artifacts), [Digest::of(COMPOSE).hex()]);
    assert_eq!(first.services[0].name, "web");
}

#[tokio::test]
async fn what_is_neither_leaves_nothing_behind() {
    let (_dir, artifacts) = open();
    for bad in [&b"\x7fELF\x02\x01\x01"[..], b"", b"a: [1", b"just words"] {
        assert!(
            matches!(upload(&artifacts, bad).await, Err(ArtifactError::Unusable(_))),
            "{bad:?}"
        );
    }
    assert!(names(&artifacts).is_empty());
}

#[tokio::test]
async fn a_file_of_the_apps_configuration_is_kept_as_it_is() {
    let (dir, artifacts) = open();
    let secret = b"DATABASE_PASSWORD=just words\n";
    let kept = upload_as(&artifacts, secret, Meant::File).await.unwrap();
    assert_eq!((kept.kind, kept.size), (Kind::File, secret.len() as u64));
    // After a restart nobody remembers what it was meant to be.
    drop(artifacts);
    let artifacts = Artifacts::open(&dir.path().join("artifacts")).unwrap();
    let facts = artifacts.facts([Digest::of(secret)].iter(), UPLOADED);
    assert_eq!(facts[&Digest::of(secret)].description, Some(Description::FILE));
}

#[tokio::test]
async fn what_no_launch_would_take_is_refused_when_it_is_uploaded() {
    let (_dir, artifacts) = open();
    let large = vec![b'x'; usize::try_from(limits::CONFIGURATION_BYTES).unwrap() + 1];
    let most = &large[1..];
    assert!(upload_as(&artifacts, most, Meant::File).await.is_ok());
    let refused = upload_as(&artifacts, &large, Meant::File).await;
    assert!(matches!(refused, Err(ArtifactError::NotForALaunch)), "{refused:?}");
    assert_eq!(names(&artifacts).len(), 1);
}

#[tokio::test]
async fn what_was_a_file_may_be_uploaded_as_what_it_is() {
    let (_dir, artifacts) = open();
    let kind = |uploaded: Result<ArtifactDocument, ArtifactError>| uploaded.unwrap().kind;
    assert_eq!(kind(upload_as(&artifacts, COMPOSE, Meant::File).await), Kind::File);
    assert_eq!(kind(upload(&artifacts, COMPOSE).await), Kind::Compose);
    assert_eq!(kind(upload_as(&artifacts, COMPOSE, Meant::File).await), Kind::Compose);
}

#[tokio::test]
async fn an_upload_that_stops_leaves_nothing_behind() {
    let (_dir, artifacts) = open();
    let mut arrival = artifacts.arrive().unwrap();
    arrival.push(COMPOSE).await.unwrap();
    assert_eq!(names(&artifacts).len(), 1);
    drop(arrival);
    assert!(names(&artifacts).is_empty());
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_nothing() {
    let (_dir, artifacts) = open();
    let mut arrival = artifacts.arrive().unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    arrival.writing = tokio::fs::File::from_std(full);
    // A write may be noticed with the next one, or at the end.
    let mut ended = Ok(());
    for _ in 0..3 {
        ended = ended.and(arrival.push(COMPOSE).await);
    }
    let ended = match ended {
        Ok(()) => artifacts
            .keep(arrival, None, Meant::Described, UPLOADED)
            .await
            .map(drop),
        Err(error) => {
            drop(arrival);
            Err(error)
        }
    };
    assert!(matches!(ended, Err(ArtifactError::DiskFull)), "{ended:?}");
    assert!(names(&artifacts).is_empty());
    assert_eq!(artifacts.0.held.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_restart_forgets_unfinished_files_and_knows_the_others() {
    let (dir, artifacts) = open();
    let document = upload(&artifacts, COMPOSE).await.unwrap();
    std::fs::write(artifacts.dir().join(".arriving-old"), b"half").unwrap();
    let again = Artifacts::open(&dir.path().join("artifacts")).unwrap();
    assert_eq!(names(&again), [document.digest.hex()]);
    let found = again.facts([document.digest.clone(), Digest::of(b"absent")].iter(), UPLOADED);
    assert_eq!(found.len(), 1);
    assert!(found[&document.digest].description.is_some());
}

#[tokio::test]
async fn a_file_that_cannot_be_described_is_read_once_and_can_be_uploaded_again() {
    let (_dir, artifacts) = open();
    let digest = Digest::of(COMPOSE);
    std::fs::write(artifacts.path(&digest), b"spoilt").unwrap();
    assert!(artifacts.find(&digest).is_none());
    assert!(artifacts.known(&digest).is_some_and(|known| known.is_none()));
    upload(&artifacts, COMPOSE).await.unwrap();
    assert_eq!(artifacts.documents(vec![digest]).await.len(), 1);
}

#[tokio::test]
async fn what_nobody_uses_goes_after_a_week() {
    let (_dir, artifacts) = open();
    let digest = upload(&artifacts, COMPOSE).await.unwrap().digest;
    let check = |needed: &[Digest], age: Duration, removed: usize| {
        let needed = needed.iter().cloned().collect();
        let now = UPLOADED + age;
        assert_eq!(artifacts.remove_unused(&needed, now).unwrap(), removed, "{age:?}");
    };
    let day = Duration::from_secs(24 * 3600);
    let unfinished = artifacts.arrive().unwrap();
    check(&[], KEPT_UNUSED - day, 0);
    check(std::slice::from_ref(&digest), KEPT_UNUSED + day, 0);
    check(&[], KEPT_UNUSED + day, 1);
    assert_eq!(names(&artifacts).len(), 1, "the file on its way stays");
    drop(unfinished);
    assert!(artifacts.documents(vec![digest]).await.is_empty());
    assert_eq!(artifacts.0.held.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn all_files_together_have_a_limit_and_what_was_refused_takes_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open_with(dir.path(), COMPOSE.len() as u64 * 2).unwrap();
    let held = || artifacts.0.held.load(Ordering::Relaxed);
    for _ in 0..3 {
        upload(&artifacts, COMPOSE).await.unwrap();
    }
    assert_eq!(held(), COMPOSE.len() as u64);
    let large = COMPOSE.repeat(2);
    assert!(matches!(upload(&artifacts, &large).await, Err(ArtifactError::NoRoom)));
    assert_eq!(held(), COMPOSE.len() as u64);
    let again = Artifacts::open_with(dir.path(), u64::MAX).unwrap();
    assert_eq!(again.0.held.load(Ordering::Relaxed), COMPOSE.len() as u64);
}
