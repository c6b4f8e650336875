//! The printed policy against moto's own evaluation: it is enough for a whole life, and each action that is taken out of it
//! is named by the message that its lack gives. moto looks at neither resources nor conditions, nor at the actions that tags
//! inside create calls need.

use std::collections::BTreeSet;

use arya_aws::calls::{Call, Part};
use arya_aws::{AwsCloud, MeasuredBy, PolicyScope, policy};
use arya_judge::source::pack::error_share_of_clients;
use arya_judge::{MetricSource as _, Timestamp};
use arya_plan::cloud::Cloud;
use arya_plan::decide::decide;
use arya_plan::desired::{Actor, Change};
use arya_plan::identity::SecurityGroupKind;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::observed::{Observed, UploadState};
use arya_plan::phase::Phase;
use arya_plan::plan::{Step, plan};
use arya_plan::timing::Timing;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use serde_json::{Value, json};

use crate::account::{Admin, OWNER};
use crate::agent;
use crate::common::{Files, spec};
use crate::contract::Ground;
use crate::moto::Moto;
use crate::stage::{Stage, settings};

/// moto wants to read a region and a service, and whose key it is once it checks.
const LIMITED: &str = "limited";

/// An account in which every call is checked.
struct Checked {
    stage: Stage,
    admin: Admin,
    limited: Credentials,
    tested: BTreeSet<&'static str>,
}

/// A question to moto's IAM by somebody without a key; `None` = it was not let through.
async fn iam(moto: &Moto, form: Vec<(&'static str, String)>) -> Option<String> {
    let url = moto.endpoint();
    let asked = tokio::task::spawn_blocking(move || {
        let scope =
            "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0";
        let request = ureq::post(&url).header("Authorization", scope);
        request.send_form(form).ok()?.body_mut().read_to_string().ok()
    });
    asked.await.unwrap()
}

async fn user(moto: &Moto, name: &'static str) -> Credentials {
    let named = |action: &str| {
        vec![
            ("Action", action.to_owned()),
            ("Version", "2010-05-08".into()),
            ("UserName", name.into()),
        ]
    };
    iam(moto, named("CreateUser")).await.unwrap();
    let answer = iam(moto, named("CreateAccessKey")).await.unwrap();
    let between = |tag: &str| {
        let after = answer.split(&format!("<{tag}>")).nth(1).unwrap();
        after.split('<').next().unwrap().to_owned()
    };
    Credentials::new(between("AccessKeyId"), between("SecretAccessKey"), None, None, "tests")
}

async fn allow(moto: &Moto, name: &str, actions: &BTreeSet<String>) -> Option<()> {
    // Its own name for what AWS asks `s3:ListBucket` for.
    let actions: BTreeSet<&str> = actions.iter().map(String::as_str).chain(["s3:HeadBucket"]).collect();
    let document = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
    });
    let form = vec![
        ("Action", "PutUserPolicy".to_owned()),
        ("Version", "2010-05-08".into()),
        ("UserName", name.to_owned()),
        ("PolicyName", "printed".into()),
        ("PolicyDocument", document.to_string()),
    ];
    iam(moto, form).await.map(drop)
}

/// The actions of the printed policy, all its statements together.
fn printed() -> BTreeSet<String> {
    let document: Value = policy(Part::Operate, &PolicyScope::default());
    let statements = document["Statement"].as_array().unwrap().clone();
    let actions = statements
        .into_iter()
        .flat_map(|one| one["Action"].as_array().unwrap().clone());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

impl Checked {
    async fn begin() -> Self {
        let stage = Stage::set().await;
        let (root, limited) = (user(&stage.moto, "root").await, user(&stage.moto, LIMITED).await);
        allow(&stage.moto, "root", &BTreeSet::from(["*".to_owned()]))
            .await
            .unwrap();
        allow(&stage.moto, LIMITED, &printed()).await.unwrap();
        let admin = Admin::with(&stage.moto, root).await;
        let mut checked = Self {
            stage,
            admin,
            limited,
            tested: BTreeSet::new(),
        };
        checked.stage.moto.check_after(0).await;
        checked.stage.cloud = checked.connect().await.unwrap();
        checked
    }

    async fn connect(&self) -> Result<AwsCloud, arya_plan::cloud::CloudError> {
        let mut settings = settings(self.stage.moto.endpoint(), self.stage.dir.path());
        settings.connection.credentials = Some(SharedCredentialsProvider::new(self.limited.clone()));
        settings.connection.measured_by = MeasuredBy::AccessLogs;
        AwsCloud::connect(settings).await
    }

    async fn without(&self, action: &str) {
        // An upload in the background would take the call that is let through below.
        let runs = |observed: &Observed| observed.uploads.values().any(|one| one.state == UploadState::Running);
        while runs(&self.stage.observe().await) {
            tokio::task::yield_now().await;
        }
        let mut actions = printed();
        actions.remove(action);
        self.allow(&actions).await;
    }

    async fn with_all(&self) {
        self.allow(&printed()).await;
    }

    /// Changes the policy by a call that nobody signs. A request that the adapter gave up may still be at moto, and take
    /// the place of the one that is let through.
    async fn allow(&self, actions: &BTreeSet<String>) {
        for _ in 0..20 {
            self.stage.moto.check_after(1).await;
            if allow(&self.stage.moto, LIMITED, actions).await.is_some() {
                return;
            }
        }
        panic!("moto let no call through");
    }

    /// What a step answers when its action is missing.
    async fn try_without(&mut self, step: &Step, action: &'static str) {
        if !self.tested.insert(action) {
            return;
        }
        self.without(action).await;
        let answer = self.stage.cloud.apply(&self.stage.desired, step).await;
        let said = match (answer, step) {
            (Err(error), _) => error.to_string(),
            (Ok(()), Step::StartUpload { digest }) => loop {
                let seen = self.stage.observe().await;
                match seen.uploads.get(digest).map(|upload| upload.state.clone()) {
                    Some(UploadState::Failed(said)) => break said,
                    Some(UploadState::Done) => panic!("it was sent without {action}"),
                    Some(UploadState::Running) | None => tokio::task::yield_now().await,
                }
            },
            (Ok(()), _) => panic!("{step} was done without {action}"),
        };
        self.with_all().await;
        assert!(
            said.contains(action) && said.contains("arya iam"),
            "{step} without {action}: {said}"
        );
    }

    /// One round in which each step is tried without each of its actions first.
    async fn round(&mut self) -> Phase {
        let stage = &mut self.stage;
        let observed = stage.observe().await;
        stage.seen.look(&stage.desired, &observed);
        while let Some((change, by)) = decide(&stage.desired, &observed, &stage.seen, &Timing::TRY, None) {
            stage.desired.apply(&change, &by, observed.at).unwrap();
        }
        let plan = plan(&stage.desired, &observed, &stage.seen, &Timing::TRY);
        for step in &plan.steps {
            for action in actions(step) {
                self.try_without(step, action).await;
            }
            // What is not possible yet is tried again in the next round.
            let _ = self.stage.cloud.apply(&self.stage.desired, step).await;
        }
        agent::act_as_admin(&self.admin, &self.stage.desired).await;
        plan.phase
    }

    async fn until(&mut self, phase: Phase) {
        for _ in 0..300 {
            if self.round().await == phase {
                return;
            }
        }
        panic!("not {phase:?}: {:#?}", self.stage.observe().await);
    }

    /// Whether all reads together, with nothing remembered, name the action that is missing.
    async fn read_without(&mut self, action: &'static str) {
        self.without(action).await;
        let said = match self.connect().await {
            Err(error) => error.to_string(),
            Ok(cloud) => {
                let asked = spec(self.stage.dir.path(), &self.stage.account.listener, Files::InParts);
                let told = cloud.preflight(Some(&self.stage.desired.spec.listener)).await;
                let missing: Vec<&str> = told.missing.iter().map(|one| one.action.as_str()).collect();
                assert_eq!(missing, [action]);
                assert!(told.missing[0].statement.to_string().contains(action), "{told:?}");
                let answers = [
                    cloud.discover().await.err(),
                    cloud.list().await.err(),
                    cloud.resolve(&asked).await.err(),
                    cloud.observe(&self.stage.desired, Timestamp::now()).await.err(),
                ];
                let (id, metric) = (self.stage.desired.id.to_string(), error_share_of_clients());
                let (from, now) = (self.stage.desired.created_at, Timestamp::now());
                let unmeasured = cloud.evidence(&id, &metric, from..=now).await.err();
                let said = answers.into_iter().flatten().map(|error| error.to_string());
                said.chain(unmeasured.map(|error| error.to_string()))
                    .collect::<Vec<_>>()
                    .join(" ")
            }
        };
        self.with_all().await;
        assert!(
            said.contains(action) || ONLY_PLANS.contains(&action),
            "without {action}: {said}"
        );
        self.tested.insert(action);
    }

    /// Whether it is known before anything is done that a change would be refused.
    async fn foreseen(&self, action: &str) {
        self.without(action).await;
        let told = self.connect().await.unwrap().preflight(None).await;
        self.with_all().await;
        let missing: Vec<&str> = told.missing.iter().map(|one| one.action.as_str()).collect();
        assert_eq!(missing, [action], "{told:?}");
    }
}

/// Read for a plan's problems alone, which are no errors, or of an instance that never says anything.
const ONLY_PLANS: [&str; 4] = [
    "ec2:GetConsoleOutput",
    "ec2:DescribeSubnets",
    "ec2:DescribeRouteTables",
    "ec2:DescribeNatGateways",
];
/// Changes that EC2 tells of without making them; the last three only where something of ours stands.
const FORESEEN: [&str; 5] = [
    "ec2:RunInstances",
    "ec2:CreateSecurityGroup",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:TerminateInstances",
    "ec2:DeleteSecurityGroup",
];

/// What a step may need beside reading.
fn actions(step: &Step) -> &'static [&'static str] {
    match step {
        Step::CreateBucket => &["s3:CreateBucket", "s3:PutBucketTagging", "s3:PutLifecycleConfiguration"],
        Step::StartUpload { .. } => &["s3:PutObject"],
        Step::CreateSecurityGroup {
            kind: SecurityGroupKind::App,
        } => &["ec2:CreateSecurityGroup"],
        // The ports of the app's are opened with its first launch, since they name this one.
        Step::CreateSecurityGroup {
            kind: SecurityGroupKind::Monitor,
        } => &["ec2:AuthorizeSecurityGroupIngress"],
        Step::CreateTargetGroup { .. } => &[
            "elasticloadbalancing:CreateTargetGroup",
            "elasticloadbalancing:ModifyTargetGroupAttributes",
        ],
        Step::LaunchInstance { .. } => &["ec2:RunInstances"],
        Step::RegisterTarget { .. } => &["elasticloadbalancing:RegisterTargets"],
        Step::CreateRule { .. } => &["elasticloadbalancing:CreateRule"],
        Step::ModifyRule { .. } => &["elasticloadbalancing:ModifyRule"],
        Step::DeleteRule { .. } => &["elasticloadbalancing:DeleteRule"],
        Step::CancelUploads => &[],
        Step::DeregisterTarget { .. } => &["elasticloadbalancing:DeregisterTargets"],
        Step::TerminateInstance { .. } => &["ec2:TerminateInstances"],
        Step::DeleteTargetGroup { .. } => &["elasticloadbalancing:DeleteTargetGroup"],
        Step::DeleteSecurityGroup { .. } => &["ec2:DeleteSecurityGroup"],
        Step::DeleteBucket => &[
            "s3:ListBucketMultipartUploads",
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            // Of a bucket that somebody had keep versions.
            "s3:ListBucketVersions",
            "s3:DeleteBucket",
        ],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_policy_is_enough_and_each_missing_action_is_named() {
    let mut checked = Checked::begin().await;
    let nothing_stands = checked.stage.cloud.preflight(None).await;
    assert_eq!(nothing_stands.missing, []);
    for action in &FORESEEN[2..] {
        assert!(
            nothing_stands.unknown.iter().any(|unknown| unknown == action),
            "{nothing_stands:?}"
        );
    }
    checked.until(Phase::Serving).await;
    // Who one is may be asked by everybody, on AWS as on moto.
    // And moto does not speak the protocol in which the SDK asks CloudWatch; the endpoint in `tests/wire` does.
    let elsewhere = [Call::GetCallerIdentity, Call::GetMetricData];
    checked.tested.extend(elsewhere.map(|call| call.row().action));
    let reads = Call::ALL.iter().filter(|call| !elsewhere.contains(call));
    let reads = reads.map(|call| call.row()).filter(|row| row.part == Part::Discover);
    for action in reads.map(|row| row.action).collect::<BTreeSet<_>>() {
        checked.read_without(action).await;
    }
    for action in FORESEEN {
        checked.foreseen(action).await;
    }
    let canary_percent = CanaryPercent::new(10.0).unwrap();
    checked.stage.change(Change::SetShare { canary_percent });
    checked.until(Phase::Serving).await;
    // A part that nobody finished.
    let bucket = checked
        .admin
        .s3
        .list_buckets()
        .send()
        .await
        .unwrap()
        .buckets
        .unwrap()
        .remove(0);
    let request = checked
        .admin
        .s3
        .create_multipart_upload()
        .set_bucket(bucket.name.clone());
    request.key("files/unfinished").send().await.unwrap();
    // And somebody has it keep what is deleted.
    let kept = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
    let request = checked.admin.s3.put_bucket_versioning().set_bucket(bucket.name);
    request.versioning_configuration(kept.build()).send().await.unwrap();
    let by = Actor::Person("Ana".into());
    checked
        .stage
        .desired
        .apply(&Change::Destroy, &by, Timestamp::now())
        .unwrap();
    checked.until(Phase::Destroyed).await;
    assert_eq!(checked.stage.cloud.list().await.unwrap(), vec![]);
    let all: BTreeSet<&str> = Call::ALL.iter().map(|call| call.row().action).collect();
    assert_eq!(checked.tested, all);
    assert_eq!(checked.stage.cloud.identity().account, OWNER);
}
