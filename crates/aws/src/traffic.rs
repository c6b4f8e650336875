//! How many requests production got lately, for its plan: by rule where the load balancer writes an access log, else by
//! target group, from CloudWatch.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use arya_judge::Timestamp;
use arya_judge::source::SourceError;
use arya_plan::listener::{Forward, ListenerId, Priority, Site};
use arya_plan::surroundings::{Span, Traffic};
use tokio::time::timeout;

use crate::Inner;
use crate::cloudwatch::{Group, MINUTE, SETTLES_WITHIN, requests};
use crate::error::clause;
use crate::logs::ways::LoggedWays;
use crate::span::{before, whole};

/// A plan is made anew with every letter that is typed; each asking has its price and, by logs, its megabytes.
const TOLD_FOR: Duration = Duration::from_secs(300);
/// After that, who did not tell may.
const UNTOLD_FOR: Duration = Duration::from_secs(30);
/// What is counted of CloudWatch's numbers. As much before it is looked at too: a group without any then is a young one.
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
        // Whoever plans meanwhile waits for the same answer.
        let asking = Box::pin(async { Ok::<_, Infallible>(self.asked_traffic(site, groups).await) });
        let Ok(traffic) = self.memory.traffic.get_while(key, holds, asking).await;
        traffic
    }

    async fn asked_traffic(&self, site: &Site, groups: BTreeSet<String>) -> Traffic {
        let now = Timestamp::now();
        let logged = timeout(LOGGED_WITHIN, self.by_way(site, groups.clone(), now)).await;
        match logged {
            Ok(Ok(by_way)) => by_way,
            Ok(Err(why)) => self.together(site, &groups, now, why).await,
            Err(_) => {
                let why = format!("its access log could not be read within {} s", LOGGED_WITHIN.as_secs());
                self.together(site, &groups, now, why).await
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
        let listeners = listeners.map_err(|error| clause(&error.what))?;
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
        let until = whole(before(now, SETTLES_WITHIN), MINUTE);
        let looked_at = before(until, COUNTED_OVER * 2)..=until;
        match requests(&self.clients.reading, &groups, looked_at).await {
            Ok(minutes) => {
                let (requests, span) = lately(&minutes, until);
                Traffic::Together {
                    requests,
                    span,
                    why_not_by_way,
                }
            }
            Err(error) => Traffic::Untold { why: in_words(&error) },
        }
    }
}

fn holds(traffic: &Traffic) -> Duration {
    match traffic {
        Traffic::Untold { .. } => UNTOLD_FOR,
        Traffic::Unasked | Traffic::Together { .. } | Traffic::ByWay { .. } => TOLD_FOR,
    }
}

/// Requests by the second in which their minute begins, of the last hour, or since the first one that a young group got.
fn lately(minutes: &BTreeMap<i64, f64>, until: Timestamp) -> (u64, Span) {
    let hour = before(until, COUNTED_OVER).as_second();
    let from = minutes.keys().next().map_or(hour, |first| hour.max(*first));
    let requests: f64 = minutes.range(from..).map(|(_, count)| count).sum();
    // Counts, which are whole and not negative.
    (requests as u64, since(from, until))
}

fn since(from: i64, until: Timestamp) -> Span {
    let seconds = until.as_second().saturating_sub(from);
    Span {
        seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
        until,
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
        span: since(logged.from.as_second(), logged.until),
    }
}

/// As a part of a sentence.
fn in_words(error: &SourceError) -> String {
    match error {
        SourceError::NoData { what } | SourceError::Malformed { what } | SourceError::Unreachable { what } => {
            clause(what)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(minutes: &[(i64, f64)], wanted: (u64, u32)) {
        let minutes = minutes.iter().copied().collect();
        let (requests, span) = lately(&minutes, Timestamp::from_second(10_200).unwrap());
        assert_eq!((requests, span.seconds), wanted);
    }

    #[test]
    fn a_young_group_is_counted_from_its_first_minute_on_and_a_quiet_one_over_the_hour() {
        check(&[], (0, 3_600));
        check(&[(9_000, 600.0), (10_140, 300.0)], (900, 1_200));
        check(&[(6_600, 7.0), (10_140, 300.0)], (307, 3_600));
        check(&[(6_540, 7.0), (10_140, 300.0)], (300, 3_600));
    }

    #[test]
    fn what_nobody_told_is_asked_again_soon_but_not_with_every_letter() {
        let why = String::new();
        assert_eq!(holds(&Traffic::Untold { why }), UNTOLD_FOR);
        assert_eq!(holds(&Traffic::Unasked), TOLD_FOR);
    }
}
