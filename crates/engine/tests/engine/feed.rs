//! The running engine: loops that wake, reports that change, a feed that can be resumed, restarts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arya_engine::{Clock, Engine, EngineSettings, Generation, RecordedEvent, Report, Store, SubmitError};
use arya_judge::Outcome;
use arya_plan::desired::{Change, Desired};
use arya_plan::phase::Phase;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::rig::settings;
use crate::world::{World, ana, desired_of, percent, set_share, site, start};

/// A clock that follows the runtime's, which the tests pause.
fn clock() -> Clock {
    let began = Instant::now();
    Clock::driven(move || start().checked_add(began.elapsed()).unwrap())
}

fn engine_with(dir: &Path, world: &World, settings: EngineSettings) -> Engine {
    let store = Arc::new(Store::open(dir).unwrap());
    Engine::start(store, world.clone(), world.clone(), settings).unwrap()
}

fn created(engine: &Engine) -> Desired {
    let desired = desired_of(engine.store(), 9, "emr", json!({}));
    engine.create(&desired, &site(), &ana()).unwrap();
    desired
}

/// Waits for a report; the paused clock jumps from look to look meanwhile.
async fn until(engine: &Engine, desired: &Desired, wanted: impl Fn(&Report) -> bool) -> Arc<Report> {
    let mut reports = engine.report(&desired.id).unwrap().unwrap();
    let found = timeout(Duration::from_secs(3600), reports.wait_for(|report| wanted(report))).await;
    found.expect("within an hour").expect("the loop runs").clone()
}

fn is_paused(report: &Report) -> bool {
    report.verdict.as_ref().is_some_and(|verdict| verdict.paused.is_some())
}

#[tokio::test(start_paused = true)]
async fn an_edit_wakes_the_loop_and_shows_at_once() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let engine = engine_with(dir.path(), &world, settings(clock()));
    let desired = created(&engine);
    until(&engine, &desired, |r| r.phase == Phase::Serving && r.verdict.is_some()).await;
    let asked_at = Instant::now();
    let generation = engine.submit(&desired.id, &set_share(0.0), &ana()).unwrap();
    let shown = engine.report(&desired.id).unwrap().unwrap().borrow().clone();
    assert_eq!(shown.desired.generation, generation);
    until(&engine, &desired, |r| {
        r.phase == Phase::Held && r.desired.generation == generation && is_paused(r)
    })
    .await;
    assert!(!world.main_rule_stands(&desired));
    assert!(
        asked_at.elapsed() < Duration::from_millis(50),
        "{:?}",
        asked_at.elapsed()
    );
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_pass_is_gone_at_once_when_the_share_changes() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let engine = engine_with(dir.path(), &world, settings(clock()));
    let desired = created(&engine);
    let passed = |r: &Report| r.verdict.as_ref().is_some_and(|v| v.outcome == Outcome::NoWorse);
    until(&engine, &desired, passed).await;
    engine.submit(&desired.id, &set_share(25.0), &ana()).unwrap();
    let shown = engine.report(&desired.id).unwrap().unwrap().borrow().clone();
    let verdict = shown.verdict.as_ref().unwrap();
    assert_eq!(
        (shown.desired.share(), verdict.outcome),
        (percent(25.0), Outcome::Inconclusive)
    );
    assert!(verdict.sentence().contains("has to run for"), "{}", verdict.sentence());
    until(&engine, &desired, passed).await;
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_feed_resumes_after_any_sequence_number() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let engine = engine_with(dir.path(), &world, settings(clock()));
    let mut listener = engine.subscribe();
    let desired = created(&engine);
    until(&engine, &desired, |r| r.phase == Phase::Serving && r.verdict.is_some()).await;
    engine.submit(&desired.id, &Change::Destroy, &ana()).unwrap();
    until(&engine, &desired, |r| r.closed_at.is_some()).await;
    let stored = engine.events(&desired.id, 0, 1_000).unwrap();
    let heard: Vec<RecordedEvent> = std::iter::from_fn(|| listener.try_recv().ok()).collect();
    assert_eq!(heard, stored);
    assert!(stored.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    for (index, event) in stored.iter().enumerate() {
        assert_eq!(
            engine.events(&desired.id, event.seq, 1_000).unwrap(),
            stored[index + 1..]
        );
    }
    assert_eq!(engine.events(&desired.id, 0, 2).unwrap(), stored[..2]);
    assert_eq!(
        engine.latest_events(&desired.id, 2).unwrap(),
        stored[stored.len() - 2..]
    );
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_feed_reads_as_a_story() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let engine = engine_with(dir.path(), &world, settings(clock()));
    let desired = created(&engine);
    until(&engine, &desired, |r| r.phase == Phase::Serving && r.verdict.is_some()).await;
    engine.note(&desired.id, "Production deploys now.").unwrap();
    engine.submit(&desired.id, &set_share(25.0), &ana()).unwrap();
    engine.submit(&desired.id, &Change::Destroy, &ana()).unwrap();
    until(&engine, &desired, |r| r.closed_at.is_some()).await;
    let feed: Vec<String> = engine
        .events(&desired.id, 0, 1_000)
        .unwrap()
        .into_iter()
        .map(|e| e.sentence)
        .collect();
    let mut rest = feed.iter();
    for expected in [
        "Ana started \"emr\": canary and baseline are to get 5 % each.",
        "The files are being uploaded.",
        "Arya created the temporary bucket.",
        "Arya launched the canary instance.",
        "The canary instance is up (",
        "Arya created the probe rule at priority 49999.",
        "Arya began: the canary gets 5 % of matching traffic, the baseline 5 %.",
        "Arya created the main rule at priority 50000.",
        "Our main rule stands on the listener: canary and baseline get 5 % each.",
        "Users reach baseline and canary now.",
        "Production deploys now.",
        "Ana set the canary share to 25 % (before: 5 %).",
        "Ana asked for everything of ours to be removed.",
        "Arya deleted the main rule.",
        "Arya took the canary instance out of the canary target group.",
        "Arya deleted the canary target group.",
        "Arya terminated the canary instance.",
        "Arya emptied and deleted the temporary bucket.",
        "Production is exactly as before: 0 differences.",
    ] {
        let found = rest.any(|sentence| sentence.starts_with(expected));
        assert!(
            found,
            "\"{expected}\" is missing or out of order in:\n{}",
            feed.join("\n")
        );
    }
    let all = serde_json::to_string(&engine.events(&desired.id, 0, 1_000).unwrap()).unwrap();
    assert!(!all.contains("only-for-probes"), "the probe secret is in the feed");
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_the_cloud_is() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let engine = engine_with(dir.path(), &world, settings(clock()));
    let desired = created(&engine);
    until(&engine, &desired, |r| r.phase == Phase::Serving).await;
    assert_eq!(engine.open_deployments().unwrap()[0].id, desired.id);
    engine.shutdown().await;
    drop(engine);
    let engine = engine_with(dir.path(), &world, settings(clock()));
    until(&engine, &desired, |r| r.phase == Phase::Serving && r.verdict.is_some()).await;
    engine.submit(&desired.id, &Change::Destroy, &ana()).unwrap();
    until(&engine, &desired, |r| r.closed_at.is_some()).await;
    assert!(world.is_restored());
    engine.shutdown().await;
    drop(engine);
    // A closed deployment has its report also when no loop runs for it.
    let engine = engine_with(dir.path(), &world, settings(clock()));
    let report = engine.report(&desired.id).unwrap().unwrap().borrow().clone();
    assert_eq!(
        (report.phase, report.restore_proof.clone().map(|p| p.differences)),
        (Phase::Destroyed, Some(vec![]))
    );
    assert_eq!(engine.deployments(10).unwrap()[0].phase, Phase::Destroyed);
    assert_eq!(engine.open_deployments().unwrap(), vec![]);
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn deployments_of_an_earlier_world_are_wound_up() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let engine = engine_with(dir.path(), &world, settings(clock()));
    let desired = created(&engine);
    until(&engine, &desired, |r| r.phase == Phase::Serving).await;
    engine.shutdown().await;
    drop(engine);
    let new_world = World::new();
    let abandoning = EngineSettings {
        abandon_open: true,
        ..settings(clock())
    };
    let engine = engine_with(dir.path(), &new_world, abandoning);
    until(&engine, &desired, |r| r.closed_at.is_some()).await;
    let feed = engine.events(&desired.id, 0, 1_000).unwrap();
    assert!(
        feed.iter()
            .any(|event| event.sentence.contains("The local world lives in memory"))
    );
    assert_eq!(
        feed.last().unwrap().sentence,
        "Production is exactly as before: 0 differences."
    );
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_harmful_is_known_to_the_next_plan() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    world.canary_fails(20.0);
    let engine = engine_with(dir.path(), &world, settings(clock()));
    let desired = created(&engine);
    until(&engine, &desired, |r| r.phase == Phase::Held).await;
    let pairs = engine.harmful_pairs().unwrap();
    assert_eq!((pairs.len(), pairs[0].deployment), (1, desired.id));
    engine
        .submit(&desired.id, &Change::Overrule { reason: "known".into() }, &ana())
        .unwrap();
    assert_eq!(engine.harmful_pairs().unwrap(), vec![]);
    engine.shutdown().await;
    assert!(
        engine
            .create(&desired_of(engine.store(), 10, "late", json!({})), &site(), &ana())
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn loops_end_with_the_last_handle() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let engine = engine_with(dir.path(), &world, settings(clock()));
    let desired = created(&engine);
    let mut reports = engine.report(&desired.id).unwrap().unwrap();
    drop(engine);
    let ended = timeout(Duration::from_secs(60), async {
        while reports.changed().await.is_ok() {}
    })
    .await;
    assert!(ended.is_ok());
    assert!(Store::open(dir.path()).is_ok());
}

/// What a person asks of a serving deployment whose store takes no edit; the engine, the world and the answer.
async fn asked_of_a_broken_store(
    dir: &Path,
    change: &Change,
) -> (Engine, World, Desired, Result<Generation, SubmitError>) {
    let world = World::new();
    let engine = engine_with(dir, &world, settings(clock()));
    let desired = created(&engine);
    until(&engine, &desired, |r| r.phase == Phase::Serving && r.verdict.is_some()).await;
    let sql = "CREATE TRIGGER broken BEFORE UPDATE ON deployments BEGIN SELECT RAISE(FAIL, 'broken'); END";
    edit_file(dir, sql);
    let answer = engine.submit(&desired.id, change, &ana());
    (engine, world, desired, answer)
}

fn edit_file(dir: &Path, sql: &str) {
    let db = rusqlite::Connection::open(dir.join("arya.sqlite")).unwrap();
    db.execute_batch(sql).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_person_takes_users_away_even_when_nothing_can_be_stored() {
    for change in [Change::Destroy, set_share(0.0)] {
        let dir = tempfile::tempdir().unwrap();
        let (engine, world, desired, answer) = asked_of_a_broken_store(dir.path(), &change).await;
        let generation = engine
            .store()
            .deployment(&desired.id)
            .unwrap()
            .unwrap()
            .desired
            .generation;
        assert_eq!(answer.unwrap(), generation);
        until(&engine, &desired, |_| !world.main_rule_stands(&desired)).await;
        edit_file(dir.path(), "DROP TRIGGER broken");
        until(&engine, &desired, |r| r.desired.generation > generation).await;
        let feed = engine.events(&desired.id, 0, 1_000).unwrap();
        assert_eq!(feed.iter().filter(|event| event.actor == ana()).count(), 2, "{feed:?}");
        engine.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_raise_that_cannot_be_stored_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _, desired, answer) = asked_of_a_broken_store(dir.path(), &set_share(25.0)).await;
    assert!(matches!(answer, Err(SubmitError::Store(_))));
    assert!(engine.submit(&desired.id, &set_share(1.0), &ana()).is_ok());
    let refused = engine.submit(&desired.id, &set_share(4.0), &ana());
    assert!(
        matches!(refused, Err(SubmitError::Store(_))),
        "4 % is more than the 1 % that is followed"
    );
    engine.shutdown().await;
}
