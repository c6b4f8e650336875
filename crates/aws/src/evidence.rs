//! What a deployment's evidence is about, and the port through which it is asked for.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arya_judge::source::access_log::LogArms;
use arya_judge::source::{MetricSource, Origin, SourceError, minutes};
use arya_judge::{Evidence, Machines, MetricConfig, Timestamp};
use arya_plan::desired::{Desired, Goal};
use arya_plan::identity::{Arm, DeploymentId};
use arya_plan::listener::{GroupId, Rule, Site};
use arya_plan::observed::Observed;

use crate::AwsCloud;
use crate::cloudwatch::{Counts, Group, Metrics};
use crate::logs::{self, Logs};

/// Where the load balancer's numbers are read. One place for a connection, so that no metric ever mixes two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MeasuredBy {
    /// Its metrics in CloudWatch: known within four minutes, by the minute. They tell a request that nobody answered only
    /// as one whose answer never came.
    #[default]
    CloudWatch,
    /// Its access logs, where it writes them: known within ten minutes, in blocks of 15 s. They tell what each client got,
    /// and production's own share of the very same requests.
    AccessLogs,
}

/// What is remembered for the sake of evidence. Lost in a crash, which costs calls only.
#[derive(Debug, Default)]
pub(crate) struct Measuring {
    subjects: Mutex<HashMap<DeploymentId, Subject>>,
    metrics: Metrics,
    pub(crate) logs: Logs,
}

impl Measuring {
    /// Whom a deployment's numbers are about, as a look saw it.
    pub(crate) fn note(&self, desired: &Desired, seen: &Observed) {
        match Subject::of(desired, seen) {
            Some(subject) => drop(self.subjects().insert(desired.id, subject)),
            // What was counted stays true; only who ends needs nothing any more.
            None if desired.goal == Goal::Absent => {
                self.subjects().remove(&desired.id);
                self.logs.forget(&desired.id);
            }
            None => {}
        }
    }

    fn subject(&self, id: &DeploymentId) -> Option<Subject> {
        self.subjects().get(id).cloned()
    }

    fn subjects(&self) -> MutexGuard<'_, HashMap<DeploymentId, Subject>> {
        // Nothing panics while it is held.
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom a deployment's numbers are about, as the last look found them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subject {
    /// The load balancer's ARN.
    balancer: String,
    arms: [Group; 2],
    production: Production,
    in_logs: LogArms,
    /// Behind production and each arm; `None` while nobody of production's is healthy.
    machines: Option<Machines>,
}

/// What production's numbers are good for.
#[derive(Debug, Clone, PartialEq)]
enum Production {
    /// Its groups get what the arms get: the same requests, shared by weight.
    Beside { groups: Vec<Group>, machines: Machines },
    /// They get other requests too, or their machines are not known: comparing would mislead.
    Apart,
}

impl Subject {
    /// `None` while the arms' groups do not stand.
    pub(crate) fn of(desired: &Desired, seen: &Observed) -> Option<Self> {
        let site = seen.site.as_ref()?;
        let group = |id: &GroupId| Group::of(site.load_balancer.as_str(), id.as_str());
        let [baseline, canary] = [Arm::Baseline, Arm::Canary].map(|arm| seen.groups.get(&arm).map(|group| &group.id));
        let (baseline, canary) = (baseline?, canary?);
        let machines = machines(desired, site);
        let slots = desired.placement.slots;
        Some(Self {
            balancer: site.load_balancer.as_str().to_owned(),
            arms: [group(baseline)?, group(canary)?],
            production: production(desired, site, machines).unwrap_or(Production::Apart),
            in_logs: LogArms {
                baseline: [baseline.to_string()].into(),
                canary: [canary.to_string()].into(),
                except_rules: [slots.probe.into()].into(),
                production: desired
                    .placement
                    .production
                    .iter()
                    .map(|one| one.group.to_string())
                    .collect(),
                production_through: [slots.main.into()].into(),
            },
            machines,
        })
    }

    /// Every group whose numbers are wanted.
    fn groups(&self) -> Vec<Group> {
        let production = match &self.production {
            Production::Beside { groups, .. } => &groups[..],
            Production::Apart => &[],
        };
        self.arms.iter().chain(production).cloned().collect()
    }
}

/// Production's groups, where the rule in front of which we stand is the only way to them and we take a share of all of it.
fn production(desired: &Desired, site: &Site, machines: Option<Machines>) -> Option<Production> {
    if !desired.spec.conditions.is_empty() {
        return None;
    }
    let ids: Vec<&GroupId> = desired.placement.production.iter().map(|one| &one.group).collect();
    let leads_there = |rule: &&Rule| {
        let forward = rule.forward();
        forward.is_some_and(|forward| forward.groups.iter().any(|one| ids.contains(&&one.group)))
    };
    let ways = site
        .rules
        .iter()
        .filter(leads_there)
        .filter(|rule| rule.owner.is_none());
    if ways.map(|rule| &rule.id).collect::<Vec<_>>() != [&desired.placement.chosen] {
        return None;
    }
    let groups: Option<Vec<Group>> = ids
        .iter()
        .map(|id| Group::of(site.load_balancer.as_str(), id.as_str()))
        .collect();
    Some(Production::Beside {
        groups: groups?,
        machines: machines?,
    })
}

fn machines(desired: &Desired, site: &Site) -> Option<Machines> {
    let groups = desired
        .placement
        .production
        .iter()
        .filter_map(|one| site.groups.get(&one.group));
    let healthy: u32 = groups.map(|group| group.health.healthy).sum();
    (healthy > 0).then_some(Machines {
        production: healthy,
        each_arm: desired.spec.instances.per_arm.into(),
    })
}

impl AwsCloud {
    /// Whether a look of this connection has found what the numbers of a deployment, named by its id, are about.
    pub fn measures(&self, deployment: &str) -> bool {
        let id = deployment.parse().ok();
        id.is_some_and(|id| self.0.measuring.subject(&id).is_some())
    }
}

impl MetricSource for AwsCloud {
    async fn evidence(
        &self,
        deployment: &str,
        metric: &MetricConfig,
        window: RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        if let Origin::Series(_) = metric.from {
            let what = format!("the metric `{}` is made of series, which a monitor has", metric.name);
            return Err(SourceError::NoData { what });
        }
        let id: DeploymentId = deployment.parse().map_err(|_| SourceError::Malformed {
            what: format!("`{deployment}` is no deployment's id"),
        })?;
        let subject = self.0.measuring.subject(&id).ok_or_else(|| SourceError::NoData {
            what: "no look has found both target groups yet".into(),
        })?;
        match self.0.settings.connection.measured_by {
            MeasuredBy::CloudWatch => {
                let reading = &self.0.clients.reading;
                let counts = self.0.measuring.metrics.of(reading, &subject.groups(), &window).await?;
                counted(metric, &subject, &counts, &window)
            }
            MeasuredBy::AccessLogs => {
                let asked = logs::Asked {
                    deployment: id,
                    balancer: &subject.balancer,
                    arms: &subject.in_logs,
                    machines: subject.machines,
                    metric,
                    window: &window,
                };
                let logged = self.0.logged(asked).await?;
                Ok(Evidence {
                    query: logged.query,
                    block_s: logs::BLOCK_S as f64,
                    production: logged.production,
                    ..Evidence::of(metric, "the load balancer's access logs", logged.blocks)
                })
            }
        }
    }
}

fn counted(
    metric: &MetricConfig,
    subject: &Subject,
    counts: &Counts,
    window: &RangeInclusive<Timestamp>,
) -> Result<Evidence, SourceError> {
    let [baseline, canary] = [&subject.arms[0], &subject.arms[1]].map(|arm| counts.of(arm));
    // Numbers go on coming for a while; a block that was given is not given again.
    let settled = *window.start()..=(*window.end()).min(counts.settled);
    let blocks = minutes::blocks(metric, [baseline, canary], &settled)?;
    let production = match &subject.production {
        Production::Beside { groups, machines } => {
            let together = minutes::Minutes::together(groups.iter().map(|group| counts.of(group)));
            let mut beside = minutes::production(metric, &together, *machines, &settled);
            beside.retain(|one| blocks.iter().any(|block| block.ends_at() == one.ends_at));
            beside
        }
        Production::Apart => Vec::new(),
    };
    Ok(Evidence {
        query: counts.question(&subject.arms),
        block_s: minutes::MINUTE_S as f64,
        production,
        ..Evidence::of(metric, "CloudWatch's metrics of the load balancer", blocks)
    })
}
