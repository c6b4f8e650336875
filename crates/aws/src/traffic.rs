//! How many requests production got lately, for its plan: by rule where the load balancer writes an access log, else by
//! target group, from CloudWatch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arya_judge::Timestamp;
use arya_judge::source::SourceError;
use arya_plan::listener::{Forward, ListenerId, Priority, Site};
use arya_plan::surroundings::{Span, Traffic};
use tokio::time::timeout;

use crate::Inner;
use crate::cloudwatch::{Group, SETTLES_WITHIN, before, requests, whole_minute};
use crate::logs::ways::LoggedWays;

/// A plan is made anew with every letter that is typed; each asking has its price and, by logs, its megabytes.
const TOLD_FOR: Duration = Duration::from_secs(300);
/// What CloudWatch is asked about.
const COUNTED_OVER: Duration = Duration::from_secs(3600);
/// Less than a person waits for a plan: what logs do not tell by then, they are not asked any more.
const LOGGED_WITHIN: Duration = Duration::from_secs(10);

impl Inner {
    /// Never an error: what is not known is said in the plan.
    pub(crate) async fn traffic(&self, site: &Site, forward: Option<&Forward>) -> Traffic {
        let groups = forward.into_iter().flat_map(|forward| &forward.groups);
        let groups: BTreeSet<String> = groups.map(|one| one.group.to_string()).collect();
        if groups.is_empty() {
            return Traffic::Unasked;
        }
        let key = format!("{} {groups:?}", site.load_balancer);
        if let Some(known) = self.memory.traffic.younger_than(TOLD_FOR, &key) {
            return known;
        }
        let now = Timestamp::now();
        let logged = timeout(LOGGED_WITHIN, self.by_way(site, groups.clone(), now)).await;
        let traffic = match logged {
            Ok(Ok(by_way)) => by_way,
            Ok(Err(why)) => self.together(site, &groups, now, why).await,
            Err(_) => {
                let why = format!("its access log could not be read within {} s", LOGGED_WITHIN.as_secs());
                self.together(site, &groups, now, why).await
            }
        };
        // What was not told may be a moment later.
        match traffic {
            Traffic::Untold { .. } => traffic,
            Traffic::Unasked | Traffic::Together { .. } | Traffic::ByWay { .. } => {
                self.memory.traffic.keep(key, traffic)
            }
        }
    }

    /// By the access log, or why it tells nothing.
    async fn by_way(&self, site: &Site, groups: BTreeSet<String>, now: Timestamp) -> Result<Traffic, String> {
        let balancer = site.load_balancer.as_str();
        let logged = self.logged_ways(balancer, groups, now).await;
        let logged = logged.map_err(|error| in_words(&error))?.ok_or_else(|| {
            "the load balancer writes no access log; with its attribute access_logs.s3.enabled on, and the bucket named to \
             `arya iam --access-logs`, their shares are shown"
                .to_owned()
        })?;
        let listeners = self.listeners(balancer).await;
        let listeners = listeners.map_err(|error| error.what.trim_end_matches('.').to_owned())?;
        let ports = listeners.iter().filter_map(|listener| {
            let port = u16::try_from(listener.port()?).ok()?;
            Some((port, ListenerId::new(listener.listener_arn()?)))
        });
        Ok(by_way(logged, &ports.collect()))
    }

    async fn together(
        &self,
        site: &Site,
        groups: &BTreeSet<String>,
        now: Timestamp,
        why_not_by_way: String,
    ) -> Traffic {
        let of = |group: &String| Group::of(site.load_balancer.as_str(), group);
        let groups: Vec<Group> = groups.iter().filter_map(of).collect();
        let until = whole_minute(before(now, SETTLES_WITHIN));
        let counted = requests(&self.clients.reading, &groups, before(until, COUNTED_OVER)..=until).await;
        match counted {
            Ok(requests) => Traffic::Together {
                requests,
                span: Span {
                    seconds: u32::try_from(COUNTED_OVER.as_secs()).unwrap_or(u32::MAX),
                    until,
                },
                why_not_by_way,
            },
            Err(error) => Traffic::Untold { why: in_words(&error) },
        }
    }
}

fn by_way(logged: LoggedWays, ports: &BTreeMap<u16, ListenerId>) -> Traffic {
    let way = |((port, rule), count): ((u16, u32), u64)| {
        let priority = match rule {
            0 => Priority::Default,
            number => Priority::At(u16::try_from(number).ok()?),
        };
        Some(((ports.get(&port)?.clone(), priority), count))
    };
    Traffic::ByWay {
        requests: logged.requests.into_iter().filter_map(way).collect(),
        span: Span {
            seconds: logged.seconds,
            until: logged.until,
        },
    }
}

/// As a part of a sentence.
fn in_words(error: &SourceError) -> String {
    match error {
        SourceError::NoData { what } | SourceError::Malformed { what } | SourceError::Unreachable { what } => {
            what.trim_end_matches('.').to_owned()
        }
    }
}
