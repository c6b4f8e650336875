//! Which rule answers a request, and which group within its forward action.

use std::net::IpAddr;

use super::pattern::{Case, matches};
use super::{Condition, Forward, GroupId, QueryValue, Rule};

/// What an ALB looks at in a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'r> {
    pub method: &'r str,
    /// The Host header without its port.
    pub host: &'r str,
    /// Without the query string.
    pub path: &'r str,
    /// Without the question mark, still encoded.
    pub query: &'r str,
    pub headers: &'r [(&'r str, &'r str)],
    /// The peer's address, never X-Forwarded-For.
    pub source_ip: IpAddr,
}

/// The first rule in evaluation order that matches; the default rule matches everything.
pub fn first_match<'s>(rules: &'s [Rule], request: &RequestFacts<'_>) -> Option<&'s Rule> {
    rules.iter().find(|rule| rule_matches(rule, request))
}

/// All conditions of a rule hold. A rule without conditions is the default rule.
pub fn rule_matches(rule: &Rule, request: &RequestFacts<'_>) -> bool {
    rule.conditions
        .iter()
        .all(|condition| condition_matches(condition, request))
}

fn condition_matches(condition: &Condition, request: &RequestFacts<'_>) -> bool {
    match condition {
        Condition::PathPattern { values } => values.iter().any(|v| matches(v, request.path, Case::Sensitive)),
        Condition::HostHeader { values } => values.iter().any(|v| matches(v, request.host, Case::Insensitive)),
        Condition::HttpHeader { name, values } => request
            .headers
            .iter()
            .filter(|(header, _)| header.eq_ignore_ascii_case(name))
            .any(|(_, text)| values.iter().any(|v| matches(v, text, Case::Insensitive))),
        // Methods are exact and case-sensitive; wildcards are not allowed there.
        Condition::HttpRequestMethod { values } => values.iter().any(|v| v == request.method),
        Condition::QueryString { values } => values.iter().any(|v| query_matches(v, request.query)),
        Condition::SourceIp { values } => values.iter().any(|net| net.contains(&request.source_ip)),
    }
}

fn query_matches(wanted: &QueryValue, query: &str) -> bool {
    query.split('&').filter(|pair| !pair.is_empty()).any(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key_ok = wanted.key.as_ref().is_none_or(|k| matches(k, key, Case::Insensitive));
        key_ok && matches(&wanted.value, value, Case::Insensitive)
    })
}

/// The group that a request goes to: the one its cookie names, if the rule is sticky and still has it; else by weight.
///
/// `draw` is any number, evenly distributed over u32; the caller owns the randomness. `None` where all weights are 0.
/// A sticky client stays even with a group of weight 0: only leaving the action or the rule ends that.
pub fn choose_group<'f>(forward: &'f Forward, cookie: Option<&GroupId>, draw: u32) -> Option<&'f GroupId> {
    if forward.stickiness_s.is_some()
        && let Some(wanted) = cookie
        && let Some(kept) = forward.groups.iter().find(|g| g.group == *wanted)
    {
        return Some(&kept.group);
    }
    let total: u64 = forward.groups.iter().map(|g| u64::from(g.weight)).sum();
    // Scales the draw to 0..total without a modulo's bias.
    let mut at = (u64::from(draw) * total) >> 32;
    for weighted in &forward.groups {
        let weight = u64::from(weighted.weight);
        if at < weight {
            return Some(&weighted.group);
        }
        at -= weight;
    }
    None
}

/// Which part of many such requests goes to which group, for whoever asks what would happen instead of drawing. The parts
/// add up to 1; none where all weights are 0.
pub fn group_parts<'f>(forward: &'f Forward, cookie: Option<&GroupId>) -> Vec<(&'f GroupId, f64)> {
    if forward.stickiness_s.is_some()
        && let Some(wanted) = cookie
        && let Some(kept) = forward.groups.iter().find(|g| g.group == *wanted)
    {
        return vec![(&kept.group, 1.0)];
    }
    let total: f64 = forward.groups.iter().map(|g| f64::from(g.weight)).sum();
    let weighted = forward.groups.iter().filter(|g| g.weight > 0);
    weighted.map(|g| (&g.group, f64::from(g.weight) / total)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::{Action, Priority, RuleId, WeightedGroup};

    const FACTS: RequestFacts<'static> = RequestFacts {
        method: "GET",
        host: "emr.example.com",
        path: "/api/records/7",
        query: "limit=10&Version=Beta",
        headers: &[("X-Team", "Blue"), ("Accept", "text/html")],
        source_ip: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, 9)),
    };

    fn condition(json: &str) -> Condition {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn conditions_match_as_an_alb_reads_them() {
        let check = |json: &str, expected| assert_eq!(condition_matches(&condition(json), &FACTS), expected, "{json}");
        check(r#"{"field":"path-pattern","values":["/img/*","/api/*"]}"#, true);
        check(r#"{"field":"path-pattern","values":["/API/*"]}"#, false);
        check(r#"{"field":"path-pattern","values":["/api/*limit*"]}"#, false);
        check(r#"{"field":"host-header","values":["*.EXAMPLE.com"]}"#, true);
        check(r#"{"field":"http-header","name":"x-team","values":["b?ue"]}"#, true);
        check(r#"{"field":"http-header","name":"x-other","values":["*"]}"#, false);
        check(r#"{"field":"http-request-method","values":["GET","HEAD"]}"#, true);
        check(r#"{"field":"http-request-method","values":["get"]}"#, false);
        check(
            r#"{"field":"query-string","values":[{"key":"version","value":"beta"}]}"#,
            true,
        );
        check(r#"{"field":"query-string","values":[{"value":"10"}]}"#, true);
        check(
            r#"{"field":"query-string","values":[{"key":"limit","value":"1"}]}"#,
            false,
        );
        check(r#"{"field":"source-ip","values":["10.0.0.0/16"]}"#, true);
        check(r#"{"field":"source-ip","values":["192.168.0.0/16"]}"#, false);
    }

    #[test]
    fn an_unknown_field_or_key_is_an_error() {
        for json in [
            r#"{"field":"cookie","values":["a"]}"#,
            r#"{"field":"path-pattern","value":["a"]}"#,
        ] {
            assert!(serde_json::from_str::<Condition>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn the_first_matching_rule_answers_and_the_default_takes_the_rest() {
        let rule = |id: &str, priority, conditions| Rule {
            id: RuleId::new(id),
            priority,
            conditions,
            actions: vec![Action::Forward(forward(&[("g", 1)], None))],
            transforms: vec![],
            owner: None,
        };
        let rules = [
            rule(
                "img",
                Priority::At(1),
                vec![condition(r#"{"field":"path-pattern","values":["/img/*"]}"#)],
            ),
            rule(
                "api",
                Priority::At(2),
                vec![condition(r#"{"field":"path-pattern","values":["/api/*"]}"#)],
            ),
            rule("rest", Priority::Default, vec![]),
        ];
        assert_eq!(first_match(&rules, &FACTS).unwrap().id, RuleId::new("api"));
        let other = RequestFacts { path: "/", ..FACTS };
        assert_eq!(first_match(&rules, &other).unwrap().id, RuleId::new("rest"));
    }

    fn forward(groups: &[(&str, u16)], stickiness_s: Option<u32>) -> Forward {
        let groups = groups
            .iter()
            .map(|(id, weight)| WeightedGroup {
                group: GroupId::new(*id),
                weight: *weight,
            })
            .collect();
        Forward { groups, stickiness_s }
    }

    #[test]
    fn draws_fall_on_groups_in_proportion_to_their_weights() {
        let forward = forward(&[("p", 90), ("b", 5), ("c", 5)], None);
        let mut counts = [0u32; 3];
        for i in 0..100_000u32 {
            let draw = i.wrapping_mul(2_654_435_769);
            let group = choose_group(&forward, None, draw).unwrap();
            counts[forward.groups.iter().position(|g| g.group == *group).unwrap()] += 1;
        }
        let parts = group_parts(&forward, None);
        for (count, (_, part)) in counts.iter().zip(&parts) {
            assert!(
                (f64::from(*count) / 100_000.0 - part).abs() < 0.0005,
                "{counts:?} {parts:?}"
            );
        }
        assert_eq!(
            parts.iter().map(|(_, part)| *part).collect::<Vec<_>>(),
            [0.9, 0.05, 0.05]
        );
    }

    #[test]
    fn a_sticky_client_stays_until_its_group_leaves_the_action() {
        let canary = GroupId::new("c");
        let sticky = forward(&[("p", 1), ("c", 0)], Some(60));
        assert_eq!(choose_group(&sticky, Some(&canary), 0), Some(&canary));
        assert_eq!(group_parts(&sticky, Some(&canary)), [(&canary, 1.0)]);
        let without = forward(&[("p", 1)], Some(60));
        assert_eq!(choose_group(&without, Some(&canary), 0), Some(&GroupId::new("p")));
        let not_sticky = forward(&[("p", 1), ("c", 0)], None);
        assert_eq!(
            choose_group(&not_sticky, Some(&canary), u32::MAX),
            Some(&GroupId::new("p"))
        );
    }

    #[test]
    fn no_group_is_chosen_when_all_weights_are_zero() {
        assert_eq!(choose_group(&forward(&[("p", 0)], None), None, 7), None);
        assert_eq!(group_parts(&forward(&[("p", 0)], None), None), []);
    }
}
