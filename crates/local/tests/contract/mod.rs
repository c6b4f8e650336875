//! What every adapter must keep, whatever world is behind it: tokens, strangers, dependencies, deletes of what is gone,
//! twice is once. One fact a function; each world makes a test of each with [`contract!`].

use arya_plan::cloud::{Cloud, CloudError, ErrorKind};
use arya_plan::desired::{Change, Desired};
use arya_plan::identity::{Arm, Place, Role, RuleKind, SecurityGroupKind};
use arya_plan::listener::{Action, Condition, Priority, Rule, RuleId, Site};
use arya_plan::observed::{BootPhase, InstanceState, Observed, TargetState};
use arya_plan::phase::Phase;
use arya_plan::plan::{Plan, Step};

pub(crate) const CANARY: Place = Place {
    role: Role::Canary,
    index: 0,
};
/// A priority that no rule of the ground has, with a free one before it.
const FREE: u16 = 19;

/// A world with production's listener, and one deployment in front of its default rule.
pub(crate) trait Ground {
    type Cloud: Cloud;

    fn cloud(&self) -> &Self::Cloud;

    fn desired(&self) -> &Desired;

    fn change(&mut self, change: Change);

    /// A stranger's rule appears, under whatever id the world gives it.
    async fn add_rule(&self, rule: Rule);

    async fn look(&self) -> Observed;

    /// One round of the engine; every step is applied twice.
    async fn round(&mut self) -> (Plan, Observed);

    /// Lets some time pass, enough for something to happen.
    async fn wait(&self);

    async fn end(self);
}

/// Looks or rounds after which a world that waits 50 ms between two has been given a minute.
const TRIES: usize = 1_200;

async fn apply(ground: &impl Ground, step: Step) -> Result<(), CloudError> {
    ground.cloud().apply(ground.desired(), &step).await
}

async fn done(ground: &impl Ground, step: Step) {
    let words = step.to_string();
    assert_eq!(apply(ground, step).await, Ok(()), "{words}");
}

async fn kind_of_no(ground: &impl Ground, step: Step) -> (ErrorKind, String) {
    let error = apply(ground, step).await.unwrap_err();
    (error.kind, error.to_string())
}

async fn site(ground: &impl Ground) -> Site {
    ground.cloud().discover().await.unwrap().remove(0)
}

async fn watch(ground: &impl Ground, what: &str, wanted: impl Fn(&Observed) -> bool) -> Observed {
    for _ in 0..TRIES {
        let observed = ground.look().await;
        if wanted(&observed) {
            return observed;
        }
        ground.wait().await;
    }
    panic!("not {what}: {:#?}", ground.look().await);
}

async fn until(ground: &mut impl Ground, what: &str, wanted: impl Fn(&Plan, &Observed) -> bool) -> Observed {
    for _ in 0..TRIES {
        let (plan, observed) = ground.round().await;
        if wanted(&plan, &observed) {
            return observed;
        }
        assert_eq!(ground.desired().failed, None);
        ground.wait().await;
    }
    panic!("not {what}: {:#?}", ground.look().await);
}

/// Builds what one instance needs, and launches it without the others.
pub(crate) async fn launch_alone(cloud: &impl Cloud, desired: &Desired, place: Place) {
    let spec = &desired.spec;
    let version = match place.role {
        Role::Canary => &spec.canary,
        Role::Baseline | Role::Monitor => &spec.baseline,
    };
    let (kind, incarnation) = (SecurityGroupKind::App, 1);
    let uploads = version.digests().cloned().map(|digest| Step::StartUpload { digest });
    let steps = [Step::CreateBucket, Step::CreateSecurityGroup { kind }].into_iter();
    let launch = Step::LaunchInstance { place, incarnation };
    for step in steps.chain(uploads).chain([launch]) {
        assert_eq!(cloud.apply(desired, &step).await, Ok(()), "{step}");
    }
}

fn is_ready(observed: &Observed, incarnation: u32) -> bool {
    let found = observed.instance(CANARY, incarnation);
    found.is_some_and(|instance| instance.phase() == Some(BootPhase::Ready))
}

fn state_of(observed: &Observed) -> InstanceState {
    observed.instance(CANARY, 1).unwrap().state
}

fn stranger(path: &str) -> Rule {
    Rule {
        id: RuleId::new("rule-of-somebody"),
        priority: Priority::At(FREE),
        conditions: vec![Condition::PathPattern {
            values: vec![path.into()],
        }],
        actions: vec![Action::FixedResponse {
            status: 200,
            content_type: "text/plain".into(),
            body: "mine".into(),
        }],
        transforms: vec![],
        owner: None,
    }
}

pub(crate) async fn a_used_token_is_answered_with_the_dead_instance_and_a_new_incarnation_lives(ground: impl Ground) {
    let (place, incarnation) = (CANARY, 1);
    launch_alone(ground.cloud(), ground.desired(), place).await;
    watch(&ground, "ready", |o| is_ready(o, 1)).await;
    let terminate = Step::TerminateInstance { place, incarnation };
    done(&ground, terminate.clone()).await;
    done(&ground, terminate).await;
    watch(&ground, "terminated", |o| state_of(o) == InstanceState::Terminated).await;

    done(&ground, Step::LaunchInstance { place, incarnation }).await;
    let observed = ground.look().await;
    assert_eq!(observed.instances.len(), 1);
    assert_eq!(state_of(&observed), InstanceState::Terminated);
    let incarnation = 2;
    done(&ground, Step::LaunchInstance { place, incarnation }).await;
    watch(&ground, "ready again", |o| is_ready(o, 2)).await;
    ground.end().await;
}

pub(crate) async fn what_is_gone_is_deleted_without_complaint_and_what_is_missing_is_waited_for(ground: impl Ground) {
    let (arm, place, incarnation) = (Arm::Canary, CANARY, 1);
    let (kind, app) = (RuleKind::Main, SecurityGroupKind::App);
    let deletes = [
        Step::DeleteRule { kind },
        Step::CancelUploads,
        Step::DeregisterTarget {
            arm,
            place,
            incarnation,
        },
        Step::TerminateInstance { place, incarnation },
        Step::DeleteTargetGroup { arm },
        Step::DeleteSecurityGroup { kind: app },
        Step::DeleteBucket,
    ];
    for step in deletes {
        done(&ground, step).await;
    }
    let digest = ground.desired().spec.canary.image.clone();
    let actions = stranger("/").actions;
    let early = [
        Step::StartUpload { digest },
        Step::LaunchInstance { place, incarnation },
        Step::RegisterTarget {
            arm,
            place,
            incarnation,
        },
        Step::ModifyRule { kind, actions },
    ];
    for step in early {
        assert_eq!(kind_of_no(&ground, step.clone()).await.0, ErrorKind::NotYet, "{step}");
    }
    assert_eq!(ground.cloud().list().await.unwrap(), vec![]);
    ground.end().await;
}

pub(crate) async fn a_group_is_checked_once_a_rule_names_it_and_what_is_in_use_is_not_deleted(mut ground: impl Ground) {
    let (arm, id) = (Arm::Canary, ground.desired().id);
    let state = |observed: &Observed| Some(observed.groups.get(&arm)?.target(CANARY)?.health.state);
    let observed = until(&mut ground, "registered", |_, o| state(o).is_some()).await;
    if observed.our_rule(&id, RuleKind::Probe).is_none() {
        assert_eq!(state(&observed), Some(TargetState::Unused));
    }
    let probed = |o: &Observed| o.our_rule(&id, RuleKind::Probe).is_some();
    until(&mut ground, "probed", |_, o| probed(o)).await;
    let (kind, text) = kind_of_no(&ground, Step::DeleteTargetGroup { arm }).await;
    assert!(kind == ErrorKind::NotYet && text.contains("ResourceInUse"), "{text}");
    let app = SecurityGroupKind::App;
    let (kind, text) = kind_of_no(&ground, Step::DeleteSecurityGroup { kind: app }).await;
    assert!(
        kind == ErrorKind::NotYet && text.contains("DependencyViolation"),
        "{text}"
    );
    watch(&ground, "healthy", |o| state(o) == Some(TargetState::Healthy)).await;
    let (place, incarnation) = (CANARY, 1);
    let out = Step::DeregisterTarget {
        arm,
        place,
        incarnation,
    };
    done(&ground, out.clone()).await;
    done(&ground, out).await;
    watch(&ground, "gone", |o| state(o).is_none()).await;
    ground.end().await;
}

pub(crate) async fn a_strangers_rule_keeps_its_priority_and_stays(ground: impl Ground) {
    let rules_before = site(&ground).await.rules.len();
    ground.add_rule(stranger("/somebody/*")).await;
    let kind = RuleKind::Main;
    let step = |priority| Step::CreateRule {
        kind,
        priority,
        conditions: ground.desired().placement.composed.conditions.clone(),
        actions: stranger("/").actions,
    };
    let (no, text) = kind_of_no(&ground, step(FREE)).await;
    assert!(no == ErrorKind::Refused && text.contains("PriorityInUse"), "{text}");
    done(&ground, step(FREE - 1)).await;
    done(&ground, step(FREE - 1)).await;
    assert_eq!(site(&ground).await.rules.len(), rules_before + 2);
    done(&ground, Step::DeleteRule { kind }).await;
    let rules = site(&ground).await.rules;
    let kept = |rule: &Rule| {
        let id = stranger("/").id;
        Rule { id, ..rule.clone() } == stranger("/somebody/*")
    };
    assert!(rules.iter().any(kept), "{rules:?}");
    assert_eq!(rules.len(), rules_before + 1);
    ground.end().await;
}

pub(crate) async fn a_life_with_every_step_twice_leaves_the_listener_as_it_was(mut ground: impl Ground) {
    let before = site(&ground).await.rules;
    until(&mut ground, "serving", |plan, _| plan.phase == Phase::Serving).await;
    let observed = ground.look().await;
    assert_eq!(observed.instances.len(), 3, "{observed:#?}");
    assert_eq!(site(&ground).await.rules.len(), before.len() + 2);
    assert_eq!(ground.cloud().list().await.unwrap(), [ground.desired().id]);
    ground.change(Change::Destroy);
    until(&mut ground, "destroyed", |plan, _| plan.phase == Phase::Destroyed).await;
    assert!(ground.round().await.0.steps.is_empty(), "quiet is stable");
    assert_eq!(site(&ground).await.rules, before);
    assert_eq!(ground.cloud().list().await.unwrap(), vec![]);
    ground.end().await;
}

/// Makes a test of each fact, on the ground that the expression gives.
macro_rules! contract {
    ($ground:expr; $($fact:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $fact() {
                crate::contract::$fact($ground).await;
            }
        )+
    };
    ($ground:expr) => {
        crate::contract::contract! {
            $ground;
            a_used_token_is_answered_with_the_dead_instance_and_a_new_incarnation_lives
            what_is_gone_is_deleted_without_complaint_and_what_is_missing_is_waited_for
            a_group_is_checked_once_a_rule_names_it_and_what_is_in_use_is_not_deleted
            a_strangers_rule_keeps_its_priority_and_stays
            a_life_with_every_step_twice_leaves_the_listener_as_it_was
        }
    };
}
pub(crate) use contract;
