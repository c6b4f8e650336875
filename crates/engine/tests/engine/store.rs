//! The store's border: who may open it, and what it refuses.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use arya_engine::{CreateError, Store, StoreError};
use arya_plan::desired::Change;
use arya_plan::listener::RuleId;
use serde_json::json;

use crate::world::{ana, desired_of, set_share, site, start};

#[test]
fn a_second_process_is_refused_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path()).unwrap();
    let refused = Store::open(dir.path()).unwrap_err();
    assert!(matches!(refused, StoreError::InUse { .. }));
    assert!(
        refused
            .to_string()
            .starts_with("Another Arya already uses the data directory"),
        "{refused}"
    );
    assert!(first.check().is_ok());
    drop(first);
    assert!(Store::open(dir.path()).is_ok());
}

#[test]
fn a_read_only_directory_is_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let refused = Store::open(dir.path()).unwrap_err().to_string();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(refused.contains("cannot be written. Nothing was started"), "{refused}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_file_in_the_directorys_place_is_a_sentence() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = Store::open(file.path()).unwrap_err();
    assert!(matches!(refused, StoreError::NotADirectory { .. }), "{refused}");
}

#[test]
fn a_newer_format_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let db = rusqlite::Connection::open(dir.path().join("arya.sqlite")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let refused = Store::open(dir.path()).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 99, .. }), "{refused}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("arya.sqlite"),
        "not a database, but long enough to be looked at".repeat(50),
    )
    .unwrap();
    let refused = Store::open(dir.path()).unwrap_err();
    assert!(matches!(refused, StoreError::Unreadable { .. }), "{refused}");
}

#[test]
fn the_installation_keeps_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path()).unwrap().installation();
    assert_eq!(Store::open(dir.path()).unwrap().installation(), first);
}

#[test]
fn a_live_name_is_unique_and_free_again_after_the_end() {
    let store = Store::in_memory().unwrap();
    store
        .create(&desired_of(&store, 1, "emr", json!({})), &site(), &ana(), start())
        .unwrap();
    let twin = desired_of(&store, 2, "emr", json!({}));
    assert!(matches!(
        store.create(&twin, &site(), &ana(), start()),
        Err(CreateError::NameTaken { .. })
    ));
    let same_id = desired_of(&store, 1, "other", json!({}));
    assert!(matches!(
        store.create(&same_id, &site(), &ana(), start()),
        Err(CreateError::IdTaken)
    ));
    assert_eq!(store.events(&twin.id, 0, 10).unwrap(), vec![]);
}

#[test]
fn a_deployment_is_found_by_id_short_id_or_live_name() {
    let store = Store::in_memory().unwrap();
    let desired = desired_of(&store, 1, "emr", json!({}));
    store.create(&desired, &site(), &ana(), start()).unwrap();
    for word in [desired.id.to_string(), desired.id.short(), "emr".into()] {
        assert_eq!(store.find(&word).unwrap(), Some(desired.id), "{word}");
    }
    for word in ["", "em", "nobody"] {
        assert_eq!(store.find(word).unwrap(), None, "{word}");
    }
}

#[test]
fn a_refused_edit_leaves_no_trace() {
    let store = Store::in_memory().unwrap();
    let desired = desired_of(&store, 1, "emr", json!({}));
    store.create(&desired, &site(), &ana(), start()).unwrap();
    assert!(store.edit(&desired.id, &set_share(50.0), &ana(), start()).is_err());
    assert!(
        store
            .edit(
                &desired.id,
                &Change::Overrule {
                    reason: "why not".into()
                },
                &ana(),
                start()
            )
            .is_err()
    );
    assert_eq!(store.deployment(&desired.id).unwrap().unwrap().desired, desired);
    assert_eq!(store.events(&desired.id, 0, 10).unwrap().len(), 1);
}

#[test]
fn two_writers_lose_no_edit() {
    let store = Arc::new(Store::in_memory().unwrap());
    let desired = desired_of(&store, 1, "emr", json!({}));
    store.create(&desired, &site(), &ana(), start()).unwrap();
    let edit = |shares: [f64; 2]| {
        let (store, id) = (store.clone(), desired.id);
        std::thread::spawn(move || {
            for round in 0..50 {
                store.edit(&id, &set_share(shares[round % 2]), &ana(), start()).unwrap();
            }
        })
    };
    let writers = [edit([1.0, 2.0]), edit([3.0, 4.0])];
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let generation = store.deployment(&desired.id).unwrap().unwrap().desired.generation;
    assert_eq!(generation, 1 + 100);
    assert_eq!(store.events(&desired.id, 0, 1_000).unwrap().len(), 1 + 100);
}

#[test]
fn open_deployments_come_before_newer_closed_ones() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let later = start().checked_add(std::time::Duration::from_secs(60)).unwrap();
    let (old, new) = (
        desired_of(&store, 1, "old", json!({})),
        desired_of(&store, 2, "new", json!({})),
    );
    let db = rusqlite::Connection::open(dir.path().join("arya.sqlite")).unwrap();
    store.create(&new, &site(), &ana(), later).unwrap();
    db.execute("UPDATE deployments SET closed_at = 1", []).unwrap();
    store.create(&old, &site(), &ana(), start()).unwrap();
    let ids: Vec<_> = store.deployments(2).unwrap().iter().map(|d| d.desired.id).collect();
    assert_eq!(ids, [old.id, new.id]);
}

#[test]
fn a_second_open_deployment_in_front_of_the_same_rule_is_refused() {
    let store = Store::in_memory().unwrap();
    let first = desired_of(&store, 1, "first", json!({}));
    store.create(&first, &site(), &ana(), start()).unwrap();
    let mut second = desired_of(&store, 2, "second", json!({}));
    let refused = store.create(&second, &site(), &ana(), start()).unwrap_err();
    assert!(
        matches!(&refused, CreateError::InFrontTaken { name } if name == "first"),
        "{refused}"
    );
    assert_eq!(store.deployment(&second.id).unwrap(), None);
    second.placement.chosen = RuleId::new("another");
    store.create(&second, &site(), &ana(), start()).unwrap();
}
