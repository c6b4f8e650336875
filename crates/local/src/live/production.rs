//! The user's own site, as `arya try` plays it: a listener with rules like a real one, production's group with two
//! instances, and its blue/green deploy. Nothing here carries our tags.

use std::sync::Arc;
use std::time::Duration;

use arya_plan::cloud::CloudError;
use arya_plan::listener::{
    Action, Condition, Forward, GroupId, GroupSettings, Priority, Protocol, Rule, RuleId, TargetStickiness, TargetType,
    WeightedGroup,
};
use arya_plan::observed::{BootPhase, InstanceState};
use arya_plan::spec::WarmUp;

use super::apply::{make_group, refusal};
use super::controls::ControlError;
use super::life::{self, Birth, Files, Source};
use super::{Inner, World};
use crate::balancer::Target;
use crate::balancer::alb::TargetState;
use crate::samples::SAMPLE_PORT;

/// The rule that answers pictures by itself: priority 10, so that there is something in front of production's.
pub const IMAGES_RULE: &str = "local:rule-images";
/// The rule for `/admin/*`, priority 20: another door to the same group, which a canary in front of the default misses.
pub const ADMIN_RULE: &str = "local:rule-admin";
/// The rule for everything else.
pub const DEFAULT_RULE: &str = "local:rule-default";

const HEALTH_PATH: &str = "/health";
/// Two, so that production survives the loss of one, as everybody's does.
const INSTANCES: usize = 2;
/// All of production's traffic to its one group.
const WHOLE: u16 = 100;
/// A demo's requests last milliseconds; AWS's 300 s would only keep idle connections.
const DEREGISTRATION_DELAY_S: u32 = 30;
/// Unpacking, starting and the first health check of two instances, on a machine that builds beside it.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A blue/green deploy keeps its old group for some minutes; here it stands until nobody names it, and at most so long.
/// The watchdog, which removes a rule of ours that still names it, must be faster.
const OLD_GROUP_STANDS: Duration = Duration::from_secs(5);

/// Sets up groups and rules, and starts production's first instances and then the background load.
pub(super) fn build(inner: &Arc<Inner>) -> Result<(), String> {
    let (group, machines) = inner
        .change(|world| {
            let group = new_group(inner, world)?;
            inner.balancer.set_rules(rules(&group)).map_err(refusal)?;
            Ok((group, launch(inner, world)))
        })
        .map_err(|error: CloudError| error.to_string())?;
    let inner = Arc::clone(inner);
    inner.tasks.clone().spawn(async move {
        let up = async {
            register(&inner, &group, &machines).await?;
            healthy(&inner, &group).await
        };
        match inner.stopping.run_until_cancelled(up).await {
            Some(Ok(())) => inner.start_load(),
            Some(Err(error)) => tracing::error!("production did not start: {error}"),
            None => {}
        }
    });
    Ok(())
}

fn rules(group: &GroupId) -> Vec<Rule> {
    let rule = |id: &str, priority, paths: &[&str], action| Rule {
        id: RuleId::new(id),
        priority,
        conditions: match paths {
            [] => vec![],
            paths => vec![Condition::PathPattern {
                values: paths.iter().map(|path| (*path).to_owned()).collect(),
            }],
        },
        actions: vec![action],
        transforms: vec![],
        owner: None,
    };
    let nothing = Action::FixedResponse {
        status: 404,
        content_type: "text/plain".into(),
        body: "No pictures here.\n".into(),
    };
    vec![
        rule(IMAGES_RULE, Priority::At(10), &["/img/*"], nothing),
        rule(ADMIN_RULE, Priority::At(20), &["/admin/*"], forward(&[(group, WHOLE)])),
        rule(DEFAULT_RULE, Priority::Default, &[], forward(&[(group, WHOLE)])),
    ]
}

fn forward(groups: &[(&GroupId, u16)]) -> Action {
    let groups = groups.iter().map(|(group, weight)| WeightedGroup {
        group: (*group).clone(),
        weight: *weight,
    });
    Action::Forward(Forward {
        groups: groups.collect(),
        stickiness_s: None,
    })
}

fn new_group(inner: &Inner, world: &mut World) -> Result<GroupId, CloudError> {
    world.production_groups += 1;
    let name = format!("production-{}", world.production_groups);
    let id = GroupId::new(format!("local:{name}"));
    let settings = GroupSettings {
        name,
        target_type: TargetType::Instance,
        protocol: Protocol::Http,
        port: SAMPLE_PORT,
        deregistration_delay_s: DEREGISTRATION_DELAY_S,
        stickiness: TargetStickiness::Off,
    };
    make_group(inner, world, id.clone(), settings, HEALTH_PATH)?;
    Ok(id)
}

fn launch(inner: &Arc<Inner>, world: &mut World) -> Vec<String> {
    let sample = &inner.settings.samples.production;
    let files = Files {
        image: sample.image.clone(),
        image_digest: sample.image_digest.clone(),
        compose: sample.compose.clone(),
    };
    let birth = || Birth {
        owner: None,
        source: Source::Disk(files.clone()),
        app_port: SAMPLE_PORT,
        health_path: HEALTH_PATH.into(),
        warm_up: WarmUp::default(),
    };
    (0..INSTANCES).map(|_| life::launch(inner, world, birth())).collect()
}

/// Registers the instances once they are ready.
async fn register(inner: &Inner, group: &GroupId, machines: &[String]) -> Result<(), ControlError> {
    let ready = |world: &World| {
        let target = |id: &String| {
            let machine = world.machines.get(id)?;
            let ready = machine
                .report
                .as_ref()
                .is_some_and(|report| report.phase == BootPhase::Ready);
            Some(Target {
                id: id.clone(),
                address: machine.address.filter(|_| ready)?,
            })
        };
        if let Some(failed) = machines.iter().find_map(|id| failure(world, id)) {
            return Some(Err(ControlError::ProductionFailed { what: failed }));
        }
        machines.iter().map(target).collect::<Option<Vec<_>>>().map(Ok)
    };
    let targets = inner
        .until(READY_WITHIN, ready)
        .await
        .ok_or(ControlError::TooSlow { what: "start" })??;
    for target in targets {
        // The group was made for them and stands.
        let _ = inner.balancer.register(group, target);
    }
    Ok(())
}

fn failure(world: &World, id: &str) -> Option<String> {
    let Some(machine) = world.machines.get(id) else {
        return Some("An instance is gone.".into());
    };
    let report = machine.report.as_ref();
    let tail = || {
        report
            .and_then(|report| report.tail.clone())
            .unwrap_or_else(|| "It left no log.".into())
    };
    let failed = machine.state.is_ending() || report.is_some_and(|report| report.phase == BootPhase::Failed);
    failed.then(tail)
}

/// Returns when every target of the group is healthy.
pub(super) async fn healthy(inner: &Inner, group: &GroupId) -> Result<(), ControlError> {
    let all = |_: &World| {
        let targets = inner.balancer.group_state(group)?.targets;
        let well = targets.iter().all(|target| target.state == TargetState::Healthy);
        (well && !targets.is_empty()).then_some(())
    };
    inner
        .until(READY_WITHIN, all)
        .await
        .ok_or(ControlError::TooSlow { what: "become healthy" })
}

/// The group that the default rule sends most to.
pub(super) fn current_group(inner: &Inner) -> Option<GroupId> {
    let rules = inner.balancer.rules();
    let rule = rules.iter().find(|rule| rule.priority == Priority::Default)?;
    rule.forward()?
        .groups
        .iter()
        .max_by_key(|group| group.weight)
        .map(|group| group.group.clone())
}

/// A blue/green deploy: new instances in a new group, health-checked at weight 0, then all of the weight moves; the old
/// group empties behind it. Returns when the weight has moved.
pub(super) async fn deploy(inner: &Arc<Inner>) -> Result<String, ControlError> {
    let running = Arc::clone(&inner.deploying)
        .try_lock_owned()
        .map_err(|_| ControlError::DeployRuns)?;
    let old = current_group(inner).ok_or(ControlError::NoProduction)?;
    let (new, machines) = inner
        .change(|world| Ok((new_group(inner, world)?, launch(inner, world))))
        .map_err(|error: CloudError| ControlError::ProductionFailed {
            what: error.to_string(),
        })?;
    let moved = async {
        register(inner, &new, &machines).await?;
        point(inner, &old, &[(&old, WHOLE), (&new, 0)])?;
        healthy(inner, &new).await?;
        point(inner, &old, &[(&new, WHOLE)])
    };
    if let Err(error) = moved.await {
        // As a deploy that fails: the rules are put back, the new instances go, the old ones never stopped serving.
        let _ = point(inner, &old, &[(&old, WHOLE)]);
        inner.tasks.spawn(retire(Arc::clone(inner), new));
        end(inner, &machines);
        return Err(error);
    }
    let sentence = format!(
        "Production deployed: its rules now forward to {new} with {INSTANCES} new instances; {old} empties and its \
         instances end."
    );
    let inner = Arc::clone(inner);
    inner.tasks.clone().spawn(async move {
        let _running = running;
        let unnamed = |_: &World| {
            inner
                .balancer
                .group_state(&old)
                .is_none_or(|state| !state.in_use)
                .then_some(())
        };
        inner.until(OLD_GROUP_STANDS, unnamed).await;
        retire(Arc::clone(&inner), old).await;
    });
    Ok(sentence)
}

/// Lets every rule of production's that forwards to `from` forward to these groups.
fn point(inner: &Inner, from: &GroupId, to: &[(&GroupId, u16)]) -> Result<(), ControlError> {
    inner.change(|_| {
        let mut rules = inner.balancer.rules();
        let forwards = |rule: &Rule| {
            rule.forward()
                .is_some_and(|forward| forward.groups.iter().any(|g| g.group == *from))
        };
        for rule in rules.iter_mut().filter(|rule| rule.owner.is_none() && forwards(rule)) {
            if let Some(last) = rule.actions.last_mut() {
                *last = forward(to);
            }
        }
        inner
            .balancer
            .set_rules(rules)
            .map_err(|error| ControlError::ProductionFailed {
                what: error.to_string(),
            })
    })
}

/// Empties a group of production's: its targets drain, its instances end, the group goes once no rule names it.
async fn retire(inner: Arc<Inner>, group: GroupId) {
    let state = inner.balancer.group_state(&group);
    let machines: Vec<_> = state
        .into_iter()
        .flat_map(|state| state.targets)
        .map(|status| status.target.id)
        .collect();
    for id in &machines {
        // A group that is gone has nothing to drain.
        let _ = inner.balancer.deregister(&group, id);
    }
    let empty = |_: &World| {
        inner
            .balancer
            .group_state(&group)
            .is_none_or(|s| s.targets.is_empty())
            .then_some(())
    };
    inner
        .until(Duration::from_secs(u64::from(DEREGISTRATION_DELAY_S) + 1), empty)
        .await;
    end(&inner, &machines);
    let delete = |_: &World| inner.balancer.delete_group(&group).is_ok().then_some(());
    if inner.until(READY_WITHIN, delete).await.is_some() {
        inner.change(|world| world.groups.remove(&group));
    }
}

fn end(inner: &Inner, machines: &[String]) {
    inner.change(|world| {
        for machine in machines.iter().filter_map(|id| world.machines.get(id)) {
            if machine.state != InstanceState::Terminated {
                machine.stop.cancel();
            }
        }
    });
}
