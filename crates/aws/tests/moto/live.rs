//! What `cargo xtask live` does, on moto: it leaves nothing, and does nothing in an account that nobody named.

use std::time::Duration;

use arya_plan::timing::Timing;

use crate::account::OWNER;
use crate::common::live::{Asked, live};
use crate::common::{Files, spec};
use crate::stage::{Stage, settings};

fn asked(stage: &Stage, account: &str) -> Asked {
    Asked {
        account: account.into(),
        spec: spec(stage.dir.path(), &stage.account.listener, Files::Small),
        timing: Timing::TRY,
        within: Duration::from_secs(120),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_on_an_account_ends_with_nothing_left() {
    let stage = Stage::set().await;
    let before = stage.account.admin.dump().await;
    let settings = settings(stage.moto.endpoint(), stage.dir.path());
    live(settings, asked(&stage, OWNER), async || stage.agent().await)
        .await
        .unwrap();
    assert_eq!(stage.account.admin.dump().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_another_account_nothing_is_done() {
    let stage = Stage::set().await;
    let before = stage.account.admin.dump().await;
    let settings = settings(stage.moto.endpoint(), stage.dir.path());
    let said = live(settings, asked(&stage, "210987654321"), async || ())
        .await
        .unwrap_err();
    assert!(
        said.contains(OWNER) && said.contains("210987654321") && said.contains("Nothing was done"),
        "{said}"
    );
    assert_eq!(stage.account.admin.dump().await, before);
}
