//! What a person may do to the local cloud, and what the judge then sees.

use arya_judge::{Beside, Block, Machines, MetricConfig, MetricSource, Shown, Timestamp};
use arya_local::live::{BLOCK_S, ControlError};
use arya_plan::desired::Change;
use arya_plan::phase::Phase;
use tokio::time::{Instant, sleep};

use crate::stage::{LIMIT, LOOK_EVERY, Stage, samples};

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_was_made_worse_fails_in_the_evidence_and_the_monitor_sees_both_arms() {
    let stage = Stage::set().await;
    let mut story = stage.story(&samples().canary, 40.0).await;
    assert!(matches!(
        stage.cloud.make_canary_worse(&story.desired.id),
        Err(ControlError::NotRunning { .. })
    ));
    story.until_phase(Phase::Serving).await;
    stage.cloud.set_load(200);
    let id = story.desired.id.to_string();
    let since = Timestamp::now();
    let sentence = stage.cloud.make_canary_worse(&story.desired.id).unwrap();
    assert!(sentence.contains("10 %"), "{sentence}");

    let metric = MetricConfig::error_share("errors", "");
    let end = Instant::now() + LIMIT;
    let evidence = loop {
        story.round().await;
        let evidence = stage
            .cloud
            .evidence(&id, &metric, since..=Timestamp::now())
            .await
            .unwrap();
        if evidence.blocks.len() >= 2 {
            break evidence;
        }
        assert!(Instant::now() < end, "{evidence:?}");
        sleep(LOOK_EVERY).await;
    };
    let counts = || evidence.blocks.iter().filter_map(|block| block.counts());
    let sum = |of: fn(&arya_judge::CountBlock) -> f64| counts().map(of).sum::<f64>();
    let baseline = sum(|b| b.baseline_events) / sum(|b| b.baseline_exposure);
    let canary = sum(|b| b.canary_events) / sum(|b| b.canary_exposure);
    assert!(canary > 0.04 && canary < 0.2 && baseline < 0.03, "{evidence:?}");
    assert!((evidence.block_s - BLOCK_S as f64).abs() < f64::EPSILON && evidence.problem.is_none());

    let two = Machines {
        production: 2,
        each_arm: 1,
    };
    let beside = |block: &Block| {
        let of_block = |one: &&Beside| one.ends_at == block.ends_at() && one.machines == two;
        let shown = evidence.production.iter().find(of_block).map(|one| &one.shown);
        // A fifth of the users, of whom hardly anybody is failed.
        shown.is_some_and(|shown| {
            matches!(shown, Shown::Counts(count) if count.exposure > 50.0 && count.exposure > 10.0 * count.events)
        })
    };
    assert!(evidence.blocks.iter().all(beside), "{evidence:?}");

    let up = stage.cloud.monitor().query(
        &format!("count by (arm) (up{{deployment=\"{id}\",version=~\"1.*\"}} == 1)"),
        Timestamp::now(),
    );
    let up = serde_json::to_string(&up.unwrap()).unwrap();
    assert!(
        ["baseline", "canary", "production"].iter().all(|arm| up.contains(arm)),
        "{up}"
    );

    stage.cloud.heal_canary(&story.desired.id).unwrap();
    story.change(Change::Destroy);
    story.until_phase(Phase::Destroyed).await;
    assert!(
        stage
            .cloud
            .evidence(&id, &metric, since..=Timestamp::now())
            .await
            .is_err()
    );
    stage.end().await;
}
