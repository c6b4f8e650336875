//! By which metrics a deployment is judged: chosen once from what its arms show, then kept, so that a verdict never
//! changes because a series came or went.

use std::sync::Arc;

use arya_judge::source::Origin;
use arya_judge::source::pack::{edited, with_call_errors};
use arya_judge::{JudgeConfig, MetricConfig, MetricSource, Timestamp};
use arya_plan::cloud::Cloud;
use arya_plan::listener::Protocol;
use jiff::SignedDuration;
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::{ASK_AGAIN_AFTER, EVIDENCE_AT_MOST, after};
use crate::event::Event;
use crate::reconciler::Reconciler;
use crate::store::{StoredDeployment, epoch};

/// A source that could not say within this time what the arms show will not be waited for: the deployment is then judged
/// by what is always there, as it is all the while before. After a restart it is asked again.
pub const CHOSEN_WITHIN: SignedDuration = SignedDuration::from_secs(180);

/// What is known of the choice.
#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    /// The filling of the arms that it is about, and the configuration.
    of: Option<(u32, Arc<JudgeConfig>)>,
    state: State,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Unread,
    /// Not chosen yet: asked since a moment, and again at another.
    Open {
        since: Timestamp,
        ask_at: Timestamp,
    },
    Settled,
}

impl<C: Cloud, M: MetricSource> Reconciler<C, M> {
    /// The configuration to judge by now. Until the metrics are chosen that is what every deployment is judged by.
    pub(super) async fn choose(
        &self,
        stored: &StoredDeployment,
        now: Timestamp,
        chosen: &mut Chosen,
    ) -> Arc<JudgeConfig> {
        let epoch = epoch(&stored.desired);
        if chosen.of.as_ref().is_none_or(|(of, _)| *of != epoch) {
            *chosen = Chosen {
                of: Some((epoch, Arc::new(of_its_protocol(stored, self.settings.judge.clone())))),
                state: State::Unread,
            };
        }
        if let Some(metrics) = self.chosen_now(stored, now, &mut chosen.state).await {
            let config = JudgeConfig {
                metrics,
                ..self.settings.judge.clone()
            };
            chosen.of = Some((epoch, Arc::new(of_its_protocol(stored, config))));
        }
        match &chosen.of {
            Some((_, config)) => Arc::clone(config),
            None => Arc::new(of_its_protocol(stored, self.settings.judge.clone())),
        }
    }

    /// The metrics, when they became known at this look.
    async fn chosen_now(
        &self,
        stored: &StoredDeployment,
        now: Timestamp,
        state: &mut State,
    ) -> Option<Vec<MetricConfig>> {
        let (id, epoch) = (&stored.desired.id, epoch(&stored.desired));
        let since = match *state {
            State::Settled => return None,
            State::Open { ask_at, .. } if ask_at > now => return None,
            State::Open { since, .. } => since,
            State::Unread => match self.journal.store.metrics(id, epoch) {
                Ok(Some(metrics)) => {
                    *state = State::Settled;
                    return Some(metrics);
                }
                Ok(None) => now,
                Err(problem) => {
                    error!(deployment = %id, error = %problem, "the metrics of a deployment cannot be read");
                    return None;
                }
            },
        };
        let asked = timeout(EVIDENCE_AT_MOST, self.source.metrics(&id.to_string(), now)).await;
        // A source that has nothing to choose from says so.
        let answers = matches!(asked, Ok(Ok(_)));
        match asked {
            Ok(Ok(Some(defaults))) => {
                let metrics = as_asked(stored, defaults);
                if let Err(problem) = self.journal.store.keep_metrics(id, epoch, &metrics) {
                    error!(deployment = %id, error = %problem, "metrics are judged by, but could not be stored");
                }
                let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
                info!(deployment = %id, metrics = names.join(", "), "metrics were chosen from what the arms show");
                if let Some(sentence) = without_series(&metrics) {
                    self.journal.mention(id, Event::Noted { sentence });
                }
                *state = State::Settled;
                return Some(metrics);
            }
            Ok(Ok(None)) => {}
            Ok(Err(problem)) => warn!(deployment = %id, %problem, "it is not known what the arms show"),
            Err(_) => warn!(deployment = %id, "the source did not say in time what the arms show"),
        }
        *state = if now.duration_since(since) >= CHOSEN_WITHIN {
            if !answers {
                self.journal.mention(id, Event::Noted { sentence: not_shown() });
            }
            State::Settled
        } else {
            State::Open {
                since,
                ask_at: after(now, ASK_AGAIN_AFTER),
            }
        };
        None
    }
}

/// What a person should know of a source that could not say what the arms show.
fn not_shown() -> String {
    format!(
        "What baseline and canary show could not be read within {} s. Only what is always measured is judged, until this \
         server is started anew. Start it again once the source answers to have more judged.",
        CHOSEN_WITHIN.as_secs()
    )
}

/// What a person should know where no monitor showed anything: much is not judged then, and stays so.
fn without_series(metrics: &[MetricConfig]) -> Option<String> {
    let of_series = |metric: &MetricConfig| matches!(metric.from, Origin::Series(_));
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    (!metrics.iter().any(of_series)).then(|| {
        format!(
            "The monitor showed no series in time that are known to judge by, so memory, processor and the service's own \
             numbers are not judged. Judged is what the load balancer measures: {}.",
            names.join(", ")
        )
    })
}

/// A configuration for what the app speaks: calls of gRPC fail where no load balancer sees it.
pub(crate) fn of_its_protocol(stored: &StoredDeployment, config: JudgeConfig) -> JudgeConfig {
    match stored.desired.spec.app.protocol {
        Protocol::Grpc => JudgeConfig {
            metrics: with_call_errors(config.metrics),
            ..config
        },
        Protocol::Http | Protocol::Https => config,
    }
}

/// The default metrics with the spec's changes. A spec was checked when it was planned; a change that all the same cannot
/// be followed leaves the defaults, and says so.
fn as_asked(stored: &StoredDeployment, defaults: Vec<MetricConfig>) -> Vec<MetricConfig> {
    let edits = &stored.desired.spec.analysis.metrics;
    edited(defaults.clone(), edits).unwrap_or_else(|problem| {
        error!(deployment = %stored.desired.id, %problem, "the spec's metrics cannot be followed; the defaults are judged");
        defaults
    })
}
