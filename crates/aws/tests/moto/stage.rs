//! One deployment in a seeded account, and a loop that does what the engine does: look, decide, plan, apply.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use arya_aws::{AwsCloud, AwsSettings, ConnectionSettings, DoorKey};
use arya_judge::Timestamp;
use arya_plan::cloud::Cloud;
use arya_plan::decide::decide;
use arya_plan::desired::{Actor, Change, Desired};
use arya_plan::listener::{Action, Priority, Rule, Site};
use arya_plan::observed::Observed;
use arya_plan::plan::{Plan, plan};
use arya_plan::seen::Seen;
use arya_plan::timing::Timing;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_elasticloadbalancingv2::types as elb;
use tempfile::TempDir;

use crate::account::{Account, OWNER, REGION, credentials};
use crate::agent;
use crate::common::{Files, desired, installation, spec};
use crate::contract::Ground;
use crate::moto::Moto;

/// Between two looks; moto tells no one when something changed.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(crate) struct Stage {
    pub(crate) account: Account,
    pub(crate) cloud: AwsCloud,
    pub(crate) desired: Desired,
    pub(crate) seen: Seen,
    agent: tokio::sync::Mutex<BTreeSet<String>>,
    pub(crate) dir: TempDir,
    pub(crate) moto: Moto,
}

pub(crate) fn settings(endpoint: String, artifacts: &Path) -> AwsSettings {
    AwsSettings {
        connection: ConnectionSettings {
            region: Some(REGION.into()),
            endpoint: Some(endpoint),
            credentials: Some(SharedCredentialsProvider::new(credentials())),
            ..ConnectionSettings::default()
        },
        installation: installation(),
        artifacts_dir: artifacts.to_owned(),
        left_dir: Some(artifacts.join("left")),
        image_owner: Some(OWNER.into()),
        door_key: DoorKey::new([7; 32]),
    }
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let moto = Moto::start().await;
        let account = Account::build(&moto).await;
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let cloud = AwsCloud::connect(settings(moto.endpoint(), dir.path())).await.unwrap();
        let spec = cloud
            .resolve(&spec(dir.path(), &account.listener, Files::InParts))
            .await
            .unwrap();
        let site = cloud.discover().await.unwrap().remove(0);
        Self {
            desired: desired(spec, &site),
            account,
            cloud,
            seen: Seen::default(),
            agent: tokio::sync::Mutex::default(),
            dir,
            moto,
        }
    }

    pub(crate) async fn site(&self) -> Site {
        self.cloud.discover().await.unwrap().remove(0)
    }

    pub(crate) async fn agent(&self) {
        agent::act(&self.account.admin, &mut *self.agent.lock().await).await;
    }

    pub(crate) async fn observe(&self) -> Observed {
        self.cloud.observe(&self.desired, Timestamp::now()).await.unwrap()
    }
}

impl Ground for Stage {
    type Cloud = AwsCloud;

    fn cloud(&self) -> &AwsCloud {
        &self.cloud
    }

    fn desired(&self) -> &Desired {
        &self.desired
    }

    fn change(&mut self, change: Change) {
        let by = Actor::Person("Ana".into());
        assert_eq!(self.desired.apply(&change, &by, Timestamp::now()), Ok(true));
    }

    async fn add_rule(&self, rule: Rule) {
        let Priority::At(priority) = rule.priority else {
            panic!("a stranger's rule has a number")
        };
        let [
            Action::FixedResponse {
                status,
                content_type,
                body,
            },
        ] = &rule.actions[..]
        else {
            panic!("a stranger's rule answers by itself")
        };
        let answer = elb::FixedResponseActionConfig::builder().status_code(status.to_string());
        let answer = answer.content_type(content_type).message_body(body).build();
        let action = elb::Action::builder()
            .r#type(elb::ActionTypeEnum::FixedResponse)
            .fixed_response_config(answer);
        let [arya_plan::listener::Condition::PathPattern { values }] = &rule.conditions[..] else {
            panic!("a stranger's rule goes by path")
        };
        let path = elb::PathPatternConditionConfig::builder()
            .set_values(Some(values.clone()))
            .build();
        let path = elb::RuleCondition::builder()
            .field("path-pattern")
            .path_pattern_config(path);
        let request = self
            .account
            .admin
            .elb
            .create_rule()
            .listener_arn(&self.account.listener);
        let request = request
            .priority(i32::from(priority))
            .conditions(path.build())
            .actions(action.build());
        request.send().await.unwrap();
    }

    async fn look(&self) -> Observed {
        self.observe().await
    }

    async fn round(&mut self) -> (Plan, Observed) {
        let observed = self.observe().await;
        self.seen.look(&self.desired, &observed);
        while let Some((change, by)) = decide(&self.desired, &observed, &self.seen, &Timing::TRY, None) {
            assert_eq!(self.desired.apply(&change, &by, observed.at), Ok(true), "{change:?}");
        }
        let plan = plan(&self.desired, &observed, &self.seen, &Timing::TRY);
        for step in plan.steps.iter().chain(&plan.steps) {
            // What is not possible yet is tried again in the next round.
            let _ = self.cloud.apply(&self.desired, step).await;
        }
        (plan, observed)
    }

    async fn wait(&self) {
        self.agent().await;
        tokio::time::sleep(LOOK_EVERY).await;
    }

    async fn end(self) {}
}
