//! What stands around a listener, and credentials that end.

use std::time::Duration;

use arya_judge::Timestamp;
use arya_plan::decide::forbids;
use arya_plan::desired::{Change, HoldReason};
use arya_plan::identity::{DeploymentId, InstallationId, LogicalId, Owner, RuleKind};
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::listener::{GroupId, Priority, RuleId};
use arya_plan::phase::Phase;
use arya_plan::plan::{Step, plan};
use arya_plan::preview::Preview;
use arya_plan::problem::Severity;
use arya_plan::spec::{Reach, Spec};
use arya_plan::surroundings::{MissingRight, Span, Subnet, Surroundings, Tenure, Traffic, WayOut};

use crate::paper::{Paper, files, has_problem, preview_around, site, spec};

fn previewed(edit: impl FnOnce(&mut Spec, &mut Surroundings)) -> Preview {
    let (mut spec, mut surroundings) = (spec(), Surroundings::default());
    edit(&mut spec, &mut surroundings);
    preview_around(&spec, &[site()], &files(), &surroundings)
}

fn check(edit: impl FnOnce(&mut Spec, &mut Surroundings), name: &str, severity: Severity, words: &[&str]) {
    let preview = previewed(edit);
    let names: Vec<_> = preview.problems.iter().map(|problem| problem.name.as_str()).collect();
    assert_eq!(names, [name]);
    has_problem(&preview, name, severity, words);
}

fn subnet(way_out: WayOut) -> Subnet {
    Subnet {
        id: "subnet-a".into(),
        zone: "eu-west-1a".into(),
        network: "vpc-1".into(),
        zone_is_served: true,
        is_in_network: true,
        way_out,
    }
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(60 * minutes).unwrap()
}

#[test]
fn a_monitor_with_a_public_address_needs_one_and_says_who_may_come() {
    let public = |ranges: &[&str], way_out: WayOut| {
        let ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
        move |spec: &mut Spec, around: &mut Surroundings| {
            spec.monitor.reach = Reach::Public;
            spec.monitor.allow_cidrs = ranges;
            around.subnets = vec![subnet(way_out)];
        }
    };
    let blocks = Severity::Blocks;
    check(
        public(&[], WayOut::Own),
        "spec:monitor.allow_cidrs",
        blocks,
        &["nobody is"],
    );
    check(
        public(&["0.0.0.0/0"], WayOut::Own),
        "spec:monitor.allow_cidrs",
        blocks,
        &["whole world"],
    );
    let named = &["203.0.113.7/32"];
    check(
        public(named, WayOut::Shared("nat-1".into())),
        "monitor_address",
        blocks,
        &["subnet-a"],
    );
    assert_eq!(previewed(public(named, WayOut::Own)).problems, []);
}

#[test]
fn a_monitor_that_nothing_reaches_says_how_its_evidence_comes() {
    let bucket = |spec: &mut Spec, _: &mut Surroundings| spec.monitor.reach = Reach::Bucket;
    check(
        bucket,
        "monitor_in_bucket",
        Severity::Note,
        &[
            "into the bucket every 10 s",
            "tools are not shown",
            "signed anew",
            "*not enough evidence*",
        ],
    );
}

#[test]
fn a_monitor_that_lets_nobody_in_who_asks_is_told() {
    let asked = |ours: &[&str], ranges: &[&str]| {
        let ours = ours.iter().map(|address| address.parse().unwrap()).collect();
        let ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
        move |spec: &mut Spec, around: &mut Surroundings| {
            around.asked_from = Some(ours);
            spec.monitor.allow_cidrs = ranges;
        }
    };
    let told = |ours: &[&str], ranges: &[&str], words: &[&str]| {
        check(asked(ours, ranges), "monitor_unreached", Severity::Note, words);
    };
    told(&["10.0.1.5"], &[], &["nobody is", "series would not be judged"]);
    told(&[], &[], &["nobody is"]);
    told(&["192.168.1.7"], &["10.0.0.0/16"], &["192.168.1.7", "another address"]);
    assert_eq!(
        previewed(asked(&["192.168.1.7", "10.0.1.5"], &["10.0.0.0/16"])).problems,
        []
    );
    assert_eq!(previewed(asked(&[], &["10.0.0.0/16"])).problems, [], "it is not known");
    let unnamed = previewed(asked(&[], &[]));
    assert!(unnamed.problems[0].next.contains("`monitor.reach: bucket`"));
    let in_bucket = previewed(|spec, around| {
        spec.monitor.reach = Reach::Bucket;
        around.asked_from = Some([].into());
    });
    let names: Vec<&str> = in_bucket.problems.iter().map(|problem| problem.name.as_str()).collect();
    assert_eq!(names, ["monitor_in_bucket"]);
}

#[test]
fn a_right_that_is_missing_stops_the_plan_and_shows_its_statement() {
    let missing = MissingRight {
        action: "ec2:RunInstances".into(),
        words: "launch the instance".into(),
        statement: serde_json::json!({"Action": ["ec2:RunInstances"]}),
    };
    let preview = previewed(|_, around| around.rights.missing = vec![missing]);
    assert!(preview.desired.is_none());
    let problem = &preview.problems[0];
    assert_eq!(problem.name, "permission:ec2:RunInstances");
    assert!(
        problem.sentence.contains("could not launch the instance"),
        "{problem:?}"
    );
    assert!(
        problem.next.contains(r#"{"Action":["ec2:RunInstances"]}"#),
        "{problem:?}"
    );
}

#[test]
fn a_profile_is_told_with_the_statement_that_hands_its_role_on() {
    check(
        |spec, around| {
            spec.instances.profile = "shop".into();
            around.pass_role = Some(serde_json::json!({"Action": ["iam:PassRole"]}));
        },
        "pass_role",
        Severity::Note,
        &["the profile shop", r#"{"Action":["iam:PassRole"]}"#],
    );
}

#[test]
fn what_can_only_be_known_by_doing_it_is_said_once() {
    let unknown = ["s3:CreateBucket", "elasticloadbalancing:CreateRule"].map(str::to_owned);
    check(
        |_, around| around.rights.unknown = unknown.into(),
        "permissions_unknown",
        Severity::Note,
        &["2 actions", "s3:CreateBucket, elasticloadbalancing:CreateRule"],
    );
}

#[test]
fn credentials_that_end_before_the_deployment_are_told_beforehand() {
    let ending =
        |minutes| move |_: &mut Spec, around: &mut Surroundings| around.tenure = Tenure::Ends { at: at(minutes) };
    check(
        ending(120),
        "credentials_end",
        Severity::Note,
        &["end at 1970-01-01T02:00:00Z", "taken away at 1970-01-01T01:45:00Z"],
    );
    check(
        ending(35),
        "credentials_end",
        Severity::Blocks,
        &["too soon", "20 minutes"],
    );
    assert_eq!(
        previewed(ending(4 * 60 + 16)).problems,
        [],
        "the deployment ends before"
    );
    check(
        |_, around| around.tenure = Tenure::Session,
        "credentials_session",
        Severity::Note,
        &["do not say when"],
    );
}

#[test]
fn a_listener_of_a_controller_takes_no_canary() {
    check(
        |_, around| around.controller = Some("the Kubernetes cluster shop".into()),
        "controller",
        Severity::Blocks,
        &["the Kubernetes cluster shop", "deletes every rule"],
    );
}

#[test]
fn a_rule_of_aryas_that_nobody_here_knows_keeps_its_place() {
    let (mut site, spec) = (site(), spec());
    let mut rule = site.rules[1].clone();
    rule.id = RuleId::new("rule-9");
    rule.priority = Priority::At(50_000);
    rule.owner = Some(Owner {
        installation: InstallationId::new(uuid::Uuid::from_u128(9)),
        deployment: DeploymentId::new(uuid::Uuid::from_u128(9)),
        logical_id: LogicalId::Rule(RuleKind::Main),
        incarnation: 1,
    });
    site.rules.insert(1, rule);
    let preview = preview_around(&spec, &[site], &files(), &Surroundings::default());
    let problem = preview
        .problems
        .iter()
        .find(|one| one.name == "in_front_taken")
        .unwrap();
    assert!(problem.sentence.contains("rule-9, priority 50000"), "{problem:?}");
    assert!(preview.desired.is_none());
}

#[test]
fn subnets_must_be_where_the_load_balancer_reaches_and_packages_come_from() {
    let with = |edit: fn(&mut Subnet)| {
        move |_: &mut Spec, around: &mut Surroundings| {
            let mut one = subnet(WayOut::Own);
            edit(&mut one);
            around.subnets = vec![one];
        }
    };
    check(
        with(|one| one.zone_is_served = false),
        "zone:subnet-a",
        Severity::Blocks,
        &["eu-west-1a", "no nodes"],
    );
    check(
        with(|one| one.is_in_network = false),
        "network:subnet-a",
        Severity::Blocks,
        &["vpc-1"],
    );
    check(
        with(|one| one.way_out = WayOut::Nowhere),
        "no_way_out:subnet-a",
        Severity::NeedsAcknowledgement,
        &["subnet-a"],
    );
    let by_proxy = previewed(|spec, around| {
        spec.instances.http_proxy = "http://proxy:3128".into();
        around.subnets = vec![subnet(WayOut::Nowhere)];
    });
    assert_eq!(by_proxy.problems, []);
}

#[test]
fn addresses_that_partners_do_not_know_are_told() {
    let gateway = || WayOut::Shared("the NAT gateway nat-1 (198.51.100.7)".into());
    check(
        |_, around| {
            around.production_leaves_by = [gateway()].into();
            around.subnets = vec![subnet(WayOut::Own)];
        },
        "unknown_addresses",
        Severity::Note,
        &["each by an address of its own", "198.51.100.7"],
    );
    let same = previewed(|_, around| {
        around.production_leaves_by = [gateway()].into();
        around.subnets = vec![subnet(gateway())];
    });
    assert_eq!(same.problems, []);
}

#[test]
fn what_makes_a_comparison_other_than_it_looks_is_told() {
    let production = || GroupId::new("production");
    check(
        |_, around| around.scaled = [(production(), "the Auto Scaling group web".into())].into(),
        "scaling:production",
        Severity::Note,
        &["the Auto Scaling group web", "10 %"],
    );
    check(
        |_, around| around.shrinking = [(production(), 2)].into(),
        "shrinking:production",
        Severity::Note,
        &["2 of its targets"],
    );
    check(
        |_, around| around.burstable = ["t3.medium".into()].into(),
        "burstable:t3.medium",
        Severity::Note,
        &["credits"],
    );
    check(
        |_, around| around.caches = ["its rules ask for X-Origin-Verify".into()].into(),
        "caches",
        Severity::Note,
        &["X-Origin-Verify"],
    );
    check(
        |_, around| around.balancer_is_shut_in = true,
        "balancer_egress",
        Severity::Blocks,
        &["port 8080"],
    );
}

#[test]
fn urls_that_die_with_a_short_session_are_told_before_instances_need_them() {
    let ends = |minutes: i64| move |_: &mut Spec, around: &mut Surroundings| around.urls_end = Some(at(minutes));
    let asked = Severity::NeedsAcknowledgement;
    check(ends(12), "urls_end", asked, &["1970-01-01T00:12:00Z, in 12 minutes"]);
    let next = &previewed(ends(12)).problems[0].next;
    assert!(
        next.contains("`duration_seconds`") && next.contains("`acknowledged`"),
        "{next}"
    );
    check(ends(-1), "urls_end", asked, &["in 0 minutes"]);
    assert!(
        previewed(ends(30)).problems.is_empty(),
        "by then they are up, and what they send by is signed anew"
    );
    // Credentials that are not renewed are told as such.
    check(
        |_, around| {
            around.tenure = Tenure::Ends { at: at(60) };
            around.urls_end = Some(at(60));
        },
        "credentials_end",
        Severity::Note,
        &["1970-01-01T01:00:00Z"],
    );
}

#[test]
fn tags_of_productions_are_told_since_whatever_finds_production_by_them_finds_ours() {
    check(
        |_, around| around.productions_tags = ["team".to_owned(), "cost".to_owned()].into(),
        "productions_tags",
        Severity::Note,
        &["(cost, team)", "deploys or patches"],
    );
    check(
        |_, around| around.tags_left_out = ["zone".to_owned(), "team".to_owned()].into(),
        "tags_left_out",
        Severity::Note,
        &["Left out: team, zone."],
    );
    let named = previewed(|spec, _| {
        let tags = [("team".to_owned(), "blue".to_owned())].into();
        spec.instances.tags = arya_plan::spec::Tags::Named(tags);
    });
    let lines = named
        .resources
        .iter()
        .filter(|line| line.what.contains("tagged team=blue"));
    assert_eq!(lines.count(), 3);
}

#[test]
fn users_are_taken_away_before_the_credentials_end_and_come_back_after_a_login() {
    let mut paper = Paper::serving();
    let end = paper.world.at.checked_add(Duration::from_secs(16 * 60)).unwrap();
    paper.world.credentials_end = Some(end);
    paper.run_steps(1);
    assert_eq!(paper.phase(), Phase::Serving, "there is time yet");
    paper.pass_time(Duration::from_secs(60));
    assert_eq!(paper.round(), [Step::DeleteRule { kind: RuleKind::Main }]);
    let hold = paper.desired.hold.clone().unwrap();
    assert_eq!(hold.reason, HoldReason::CredentialsEnd { at: end });
    assert!(hold.reason.to_string().contains("logs in again"), "{}", hold.reason);
    assert_eq!(paper.phase(), Phase::Held);
    let share = CanaryPercent::new(5.0).unwrap();
    assert_eq!(forbids(&paper.desired, &paper.world, share), Some(hold.reason));
    paper.world.credentials_end = paper.world.at.checked_add(Duration::from_secs(8 * 3600)).ok();
    assert_eq!(forbids(&paper.desired, &paper.world, share), None);
    paper.change(Change::SetShare { canary_percent: share });
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Serving);
}

#[test]
fn no_user_comes_while_the_credentials_are_about_to_end() {
    let mut paper = Paper::new();
    paper.world.credentials_end = paper.world.at.checked_add(Duration::from_secs(600)).ok();
    paper.run_until_quiet();
    assert_eq!((paper.phase(), paper.main_rules_created), (Phase::Held, 0));
}

#[test]
fn looks_stretch_where_the_account_has_no_calls_for_more() {
    let mut paper = Paper::serving();
    let looks_in = |paper: &Paper| plan(&paper.desired, &paper.world, &paper.seen, &paper.timing).look_again_in;
    assert_eq!(looks_in(&paper), Duration::from_secs(10));
    paper.world.look_again_at_least = Some(Duration::from_secs(24));
    assert_eq!(looks_in(&paper), Duration::from_secs(24));
    let told = plan(&paper.desired, &paper.world, &paper.seen, &paper.timing).waiting;
    assert!(told[0].reason.to_string().contains("Looks every 24 s"), "{told:?}");
    paper.world.look_again_at_least = Some(Duration::from_secs(3));
    assert_eq!(looks_in(&paper), Duration::from_secs(10));
    assert_eq!(
        plan(&paper.desired, &paper.world, &paper.seen, &paper.timing).waiting,
        []
    );
}

/// As seen up to 12:15.
fn span(minutes: u32) -> Span {
    Span {
        seconds: 60 * minutes,
        until: "2026-01-31T12:15:00.5Z".parse().unwrap(),
    }
}

#[test]
fn how_many_take_another_way_is_told_where_rules_are_counted_and_else_why_not() {
    let counted = |traffic: Traffic| previewed(|_, around| around.traffic = traffic);
    let listener = site().listener;
    let by_way = counted(Traffic::ByWay {
        requests: [
            ((listener.clone(), Priority::Default), 6_300),
            ((listener.clone(), Priority::At(10)), 2_700),
        ]
        .into(),
        span: span(15),
    });
    let [door] = &by_way.other_doors[..] else {
        panic!("{:?}", by_way.other_doors)
    };
    assert_eq!(door.share_percent, Some(30.0));
    assert!(
        door.sentence
            .ends_with("30.0 % of production's requests came this way."),
        "{door:?}"
    );
    let note = by_way.other_doors_note.unwrap();
    assert!(
        note.contains("the 15 minutes up to 2026-01-31T12:15:00Z, in which 9000 requests"),
        "{note}"
    );
    let time = by_way.time_to_verdict;
    assert_eq!(time.requests_per_s, Some(7.0));
    assert!(
        time.sentence
            .contains("access logs have 7.0 requests/s by the chosen rule"),
        "{}",
        time.sentence
    );

    let together = counted(Traffic::Together {
        requests: 36_000,
        span: span(60),
        why_not_by_way: "no log is written".into(),
    });
    assert_eq!(together.other_doors[0].share_percent, None);
    let note = together.other_doors_note.unwrap();
    assert!(
        note.contains("not known") && note.ends_with("and no log is written."),
        "{note}"
    );
    let time = together.time_to_verdict;
    assert_eq!(
        (time.requests_per_s, time.canary_requests_per_s),
        (Some(10.0), Some(0.5))
    );
    assert!(time.sentence.contains("come at most so many"), "{}", time.sentence);
    assert!(!time.by_kind.is_empty());

    let untold = counted(Traffic::Untold {
        why: "AWS says no".into(),
    });
    assert_eq!(untold.time_to_verdict.requests_per_s, None);
    let said = untold.time_to_verdict.sentence;
    assert!(
        said.contains("not known, so no time can be said: AWS says no."),
        "{said}"
    );
    assert_eq!(previewed(|_, _| ()).other_doors_note, None);
}

#[test]
fn where_the_chosen_rule_is_the_only_way_what_cloudwatch_counts_is_its_own() {
    let mut alone = site();
    alone.rules.retain(|rule| rule.priority == Priority::Default);
    let around = Surroundings {
        traffic: Traffic::Together {
            requests: 0,
            span: span(60),
            why_not_by_way: "no log is written".into(),
        },
        ..Surroundings::default()
    };
    let quiet = preview_around(&spec(), &[alone], &files(), &around);
    assert!(quiet.other_doors.is_empty() && quiet.other_doors_note.is_none());
    let said = quiet.time_to_verdict.sentence;
    assert!(said.contains("without traffic there will be no verdict"), "{said}");
    assert!(said.ends_with("CloudWatch counted 0.0 requests/s at production's target groups in the 60 minutes up to 2026-01-31T12:15:00Z."), "{said}");
}
