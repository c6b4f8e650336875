use std::collections::BTreeMap;

use super::*;
use crate::listener::{Forward, GroupId, ListenerId, LoadBalancerId, RuleId, WeightedGroup};

fn condition(json: &str) -> Condition {
    serde_json::from_str(json).unwrap()
}

fn path(values: &[&str]) -> Condition {
    Condition::PathPattern {
        values: values.iter().map(ToString::to_string).collect(),
    }
}

fn host(value: &str) -> Condition {
    Condition::HostHeader {
        values: vec![value.into()],
    }
}

fn rule(id: &str, priority: Priority, conditions: Vec<Condition>) -> Rule {
    let groups = vec![WeightedGroup {
        group: GroupId::new("production"),
        weight: 1,
    }];
    let actions = vec![Action::Forward(Forward {
        groups,
        stickiness_s: None,
    })];
    Rule {
        id: RuleId::new(id),
        priority,
        conditions,
        actions,
        transforms: vec![],
        owner: None,
    }
}

fn site(rules: Vec<Rule>) -> Site {
    Site {
        listener: ListenerId::new("listener"),
        load_balancer: LoadBalancerId::new("lb"),
        load_balancer_name: "lb".into(),
        address: "http://lb".into(),
        port: 80,
        rules,
        groups: BTreeMap::new(),
    }
}

#[test]
fn conditions_of_the_chosen_rule_and_of_the_user_are_joined() {
    let check = |chosen: Vec<Condition>, user: &[Condition], expected: &[Condition]| {
        let composed = in_front_of(&rule("r", Priority::At(9), chosen), user).unwrap();
        assert_eq!(composed.conditions, expected);
    };
    check(vec![], &[], &[path(&["*"])]);
    check(vec![], &[path(&["/api/*"])], &[path(&["/api/*"])]);
    check(
        vec![host("a.example.com")],
        &[path(&["/api/*"])],
        &[host("a.example.com"), path(&["/api/*"])],
    );
    check(vec![path(&["/api/*"])], &[path(&["/api/*"])], &[path(&["/api/*"])]);
    check(
        vec![path(&["/api/*"])],
        &[path(&["/api/v1/*", "/api/v2/*"])],
        &[path(&["/api/v1/*", "/api/v2/*"])],
    );
    check(vec![path(&["/api/*"])], &[path(&["*"])], &[path(&["/api/*"])]);
    let headers = [
        condition(r#"{"field":"http-header","name":"X-A","values":["1"]}"#),
        condition(r#"{"field":"http-header","name":"X-B","values":["2"]}"#),
    ];
    check(vec![headers[0].clone()], &headers, &headers);
}

#[test]
fn what_aws_would_refuse_is_refused_with_field_value_and_limit() {
    let check = |chosen: Vec<Condition>, user: &str, name: &str, words: &[&str]| {
        let problems = in_front_of(&rule("r", Priority::At(9), chosen), &[condition(user)]).unwrap_err();
        let problem = problems
            .iter()
            .find(|p| p.name == name)
            .unwrap_or_else(|| panic!("{name} in {problems:?}"));
        for word in words {
            assert!(problem.sentence.contains(word), "{word} in {}", problem.sentence);
        }
    };
    let long = "x".repeat(129);
    check(
        vec![],
        &format!(r#"{{"field":"path-pattern","values":["{long}"]}}"#),
        "condition:path-pattern",
        &["129", "128"],
    );
    check(
        vec![],
        r#"{"field":"path-pattern","values":[]}"#,
        "condition:path-pattern",
        &["no value"],
    );
    check(
        vec![],
        r#"{"field":"host-header","values":["localhost"]}"#,
        "condition:host-header",
        &["localhost", "dot"],
    );
    check(
        vec![],
        r#"{"field":"http-header","name":"Host","values":["a"]}"#,
        "condition:http-header",
        &["Host"],
    );
    check(
        vec![],
        r#"{"field":"http-request-method","values":["get"]}"#,
        "condition:http-request-method",
        &["get"],
    );
    check(
        vec![],
        r#"{"field":"source-ip","values":["255.255.255.255/32"]}"#,
        "condition:source-ip",
        &["255.255.255.255/32"],
    );
    check(
        vec![path(&["/api/*"])],
        r#"{"field":"path-pattern","values":["/img/*"]}"#,
        "condition:path-pattern",
        &["/api/*", "/img/*"],
    );
    let four = r#"{"field":"path-pattern","values":["/a","/b","/c","/d"]}"#;
    check(vec![], four, "limit:values_in_its_path-pattern_condition", &["4", "3"]);
    let three = r#"{"field":"path-pattern","values":["/a","/b","/c"]}"#;
    let hosts = Condition::HostHeader {
        values: ["a.b", "c.d", "e.f"].map(String::from).to_vec(),
    };
    check(vec![hosts], three, "limit:condition_values", &["6", "5"]);
    check(
        vec![],
        r#"{"field":"path-pattern","values":["/*/*/*","/*/*/?"]}"#,
        "limit:wildcards",
        &["6", "5"],
    );
}

#[test]
fn a_login_is_carried_over_or_the_reason_is_said() {
    let mut chosen = rule("r", Priority::At(9), vec![]);
    let cognito = Action::AuthenticateCognito {
        verbatim: serde_json::json!({"UserPoolArn": "p"}),
    };
    chosen.actions.insert(0, cognito.clone());
    assert_eq!(in_front_of(&chosen, &[]).unwrap().logins, [cognito]);
    chosen.actions[0] = Action::AuthenticateOidc { verbatim: Value::Null };
    assert_eq!(in_front_of(&chosen, &[]).unwrap_err()[0].name, "login:oidc");
}

#[test]
fn our_rules_stand_directly_before_the_chosen_one() {
    let check = |numbers: &[u16], chosen: Priority, expected: Result<(u16, u16), &str>| {
        let mut rules: Vec<_> = numbers
            .iter()
            .map(|n| rule(&format!("r{n}"), Priority::At(*n), vec![]))
            .collect();
        rules.push(rule("default", Priority::Default, vec![]));
        let site = site(rules);
        let chosen = site.rules.iter().find(|r| r.priority == chosen).unwrap();
        match (slots_before(&site, chosen), expected) {
            (Ok(slots), Ok((probe, main))) => assert_eq!((slots.probe, slots.main), (probe, main)),
            (Err(problem), Err(words)) => assert!(problem.next.contains(words), "{}", problem.next),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    };
    check(&[10, 20], Priority::At(20), Ok((18, 19)));
    check(&[10, 20], Priority::Default, Ok((49_999, 50_000)));
    check(&[3], Priority::At(3), Ok((1, 2)));
    check(&[2], Priority::At(2), Err("RuleArn=r2,Priority=3"));
    check(
        &[1, 2, 3, 9],
        Priority::At(2),
        Err("RuleArn=r2,Priority=4 RuleArn=r3,Priority=5"),
    );
    check(&[10, 12], Priority::At(12), Err("RuleArn=r12,Priority=13"));
    check(&[50_000], Priority::Default, Err("RuleArn=r50000,Priority=49998"));
}

/// The listener after the command was run.
fn made_room(site: &Site, command: &str) -> Site {
    let mut after = site.clone();
    for one in command.split("RuleArn=").skip(1) {
        let (id, to) = one.trim().split_once(",Priority=").unwrap();
        let rule = after.rules.iter_mut().find(|rule| rule.id.as_str() == id).unwrap();
        rule.priority = Priority::At(to.parse().unwrap());
    }
    after.rules.sort_by_key(|rule| rule.priority);
    after
}

#[test]
fn the_command_that_makes_room_keeps_the_order_within_awss_numbers() {
    let crowded: Vec<u16> = (1..=98).collect();
    let highest: Vec<u16> = (49_903..=50_000).collect();
    for numbers in [
        &[1][..],
        &[1, 2, 3, 9],
        &[10, 12, 13],
        &[49_999, 50_000],
        &[5, 49_998, 49_999, 50_000],
        &crowded,
        &highest,
    ] {
        let numbered = numbers.iter().map(|n| rule(&format!("r{n}"), Priority::At(*n), vec![]));
        let all = numbered.chain([rule("default", Priority::Default, vec![])]).collect();
        let site = site(all);
        let ids = |site: &Site| site.rules.iter().map(|rule| rule.id.clone()).collect::<Vec<_>>();
        for chosen in &site.rules {
            let Err(problem) = slots_before(&site, chosen) else {
                continue;
            };
            let after = made_room(&site, &problem.next);
            assert_eq!(ids(&after), ids(&site), "{numbers:?}: {}", problem.next);
            let priorities = after.rules.iter().map(|rule| rule.priority);
            let in_range = priorities.clone().all(|one| match one {
                Priority::At(number) => (1..=limits::PRIORITY_MAX).contains(&number),
                Priority::Default => true,
            });
            let different: std::collections::BTreeSet<_> = priorities.collect();
            assert!(in_range && different.len() == after.rules.len(), "{}", problem.next);
            let there = after.rule(&chosen.id).unwrap();
            assert!(slots_before(&after, there).is_ok(), "{numbers:?}: {}", problem.next);
        }
    }
}

#[test]
fn the_digest_sees_the_rule_below_and_ignores_what_does_not_matter() {
    let chosen = rule("api", Priority::At(20), vec![path(&["/api/*"])]);
    let before = site(vec![
        rule("img", Priority::At(5), vec![path(&["/img/*"])]),
        rule("v1", Priority::At(6), vec![path(&["/api/v1/*"])]),
        chosen.clone(),
        rule("default", Priority::Default, vec![]),
    ]);
    let composed = in_front_of(&chosen, &[]).unwrap();
    let digest = |site: &Site| site_digest(site, site.rule(&RuleId::new("api")).unwrap(), &composed);
    let original = digest(&before);
    let changed = |edit: &dyn Fn(&mut Site)| {
        let mut after = before.clone();
        edit(&mut after);
        digest(&after) != original
    };
    assert!(
        !changed(&|site| site.rules[0].conditions = vec![path(&["/pics/*"])]),
        "a disjoint rule does not matter"
    );
    assert!(
        !changed(&|site| drop(site.rules.remove(3))),
        "a later rule does not matter"
    );
    assert!(
        changed(&|site| site.rules[1].conditions = vec![path(&["/api/v2/*"])]),
        "an earlier overlapping rule does"
    );
    assert!(changed(&|site| site.rules[2].actions.clear()), "the chosen rule does");
    assert!(
        changed(&|site| site.rules[2].priority = Priority::At(21)),
        "its place does"
    );
}
