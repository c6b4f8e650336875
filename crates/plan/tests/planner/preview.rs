//! What the plan shows before anything is touched, and everything it refuses.

use arya_bundle::Digest;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::listener::{
    Action, Forward, GroupId, ListenerId, LoadBalancerId, Priority, Protocol, Rule, RuleId, Site, TargetStickiness,
    TargetType, WeightedGroup,
};
use arya_plan::preview::{FileFacts, Files, Preview};
use arya_plan::problem::Severity;
use arya_plan::spec::{InFrontOf, OneOrMany, Spec};

use crate::paper::{compose, files, has_problem, image, make_preview, site, spec};

fn previewed(edit: impl FnOnce(&mut Spec, &mut Site, &mut Files)) -> Preview {
    let (mut spec, mut site, mut files) = (spec(), site(), files());
    edit(&mut spec, &mut site, &mut files);
    make_preview(&spec, &[site], &files)
}

fn check(edit: impl FnOnce(&mut Spec, &mut Site, &mut Files), name: &str, severity: Severity, words: &[&str]) {
    has_problem(&previewed(edit), name, severity, words);
}

fn blocks(edit: impl FnOnce(&mut Spec, &mut Site, &mut Files), name: &str, words: &[&str]) {
    check(edit, name, Severity::Blocks, words);
}

fn production_settings(site: &mut Site) -> &mut arya_plan::listener::GroupSettings {
    &mut site.groups.get_mut(&GroupId::new("production")).unwrap().settings
}

fn replace_compose(files: &mut Files, text: &str) {
    files.insert(Digest::of(b"compose"), compose(text));
}

#[test]
fn a_clean_plan_shows_rules_before_and_after_and_every_step() {
    let preview = previewed(|_, _, _| {});
    assert_eq!(preview.problems, []);
    let line = |rules: &[arya_plan::preview::RuleLine]| -> Vec<String> {
        rules
            .iter()
            .map(|r| format!("{} {} -> {}", r.priority, r.conditions, r.actions))
            .collect()
    };
    assert_eq!(line(&preview.rules_before).len(), 2);
    assert_eq!(
        line(&preview.rules_after),
        [
            "10 path is /api/* -> forward to production",
            "49999 header X-Arya-Probe is the secret -> forward to arya-aaaaaaaabi-baseline (0 %), arya-aaaaaaaabi-canary (100 %)",
            "50000 path is * -> forward to production (90 %), arya-aaaaaaaabi-baseline (5 %), arya-aaaaaaaabi-canary (5 %)",
            "default everything else -> forward to production",
        ]
    );
    assert_eq!(preview.checklist.first().unwrap(), "create the temporary bucket");
    assert_eq!(
        preview.checklist.last().unwrap(),
        "create the main rule at priority 50000"
    );
    assert_eq!(preview.resources.len(), 10);
    // Production's type is not known on paper: addresses, disks, the monitor and the numbers are.
    assert!(preview.price_per_hour > 0.09 && preview.price_per_hour < 0.1);
    assert!(
        preview
            .price_note
            .unwrap()
            .contains("not known here: production's type")
    );
    assert!(preview.other_doors[0].sentence.contains("/api/*"));
    assert!(preview.time_to_verdict.sentence.contains("5.0 requests/s"));
    assert_eq!(preview.digest.len(), 64);
}

#[test]
fn what_was_taken_from_production_is_shown_with_the_instances() {
    let preview = previewed(|spec, _, _| {
        spec.instances.instance_type = "m5.large".into();
        spec.instances.subnets = OneOrMany::Many(vec!["subnet-a".into(), "subnet-b".into()]);
        spec.instances.security_groups = OneOrMany::Many(vec!["sg-web".into()]);
        spec.instances.profile = "shop".into();
        spec.instances.per_arm = 2;
    });
    let what: Vec<&str> = preview.resources.iter().map(|line| line.what.as_str()).collect();
    let canary = "m5.large, in subnet-b, with security groups sg-web beside ours, profile shop";
    assert!(what.iter().any(|line| line.contains(canary)), "{what:?}");
    assert!(
        what.iter().any(|line| line.ends_with("t3.medium, in subnet-a")),
        "the monitor has none of it: {what:?}"
    );
}

#[test]
fn the_secret_of_the_probe_rule_is_nowhere_in_what_is_shown() {
    let preview = previewed(|_, _, _| {});
    assert!(
        !format!("{preview:?}")
            .replace("ProbeSecret", "")
            .contains("values: [\"s3cret\"]")
    );
    assert!(!serde_json::to_string(&preview.rules_after).unwrap().contains("s3cret"));
}

#[test]
fn a_chosen_rule_keeps_its_place_and_its_conditions() {
    let preview = previewed(|spec, _, _| spec.in_front_of = InFrontOf::Rule(RuleId::new("api")));
    let main = preview
        .rules_after
        .iter()
        .find(|r| r.ours.as_deref() == Some("main"))
        .unwrap();
    assert_eq!(
        (main.priority.as_str(), main.conditions.as_str()),
        ("9", "path is /api/*")
    );
}

#[test]
fn what_is_too_large_to_go_with_a_launch_is_refused_by_the_plan() {
    let most = arya_plan::spec::limits::CONFIGURATION_BYTES;
    let given = |size: u64| {
        move |spec: &mut Spec, _: &mut Site, files: &mut Files| {
            let digest = Digest::of(b"notes");
            spec.canary.env_file = Some(digest.clone());
            spec.canary.files = [("conf/list.json".to_owned(), digest.clone())].into();
            let description = None;
            files.insert(digest, FileFacts { size, description });
        }
    };
    blocks(
        given(most + 1),
        "size:canary.env_file",
        &["4194305 bytes", "at most 4194304"],
    );
    blocks(given(most + 1), "size:canary.files", &["conf/list.json"]);
    let fits = previewed(given(most));
    assert!(!fits.problems.iter().any(|problem| problem.name.starts_with("size:")));
}

#[test]
fn what_is_not_there_is_named() {
    blocks(
        |spec, _, _| spec.listener = arya_plan::listener::ListenerId::new("nope"),
        "listener",
        &["nope", "web"],
    );
    blocks(
        |spec, _, _| spec.in_front_of = InFrontOf::Rule(RuleId::new("nope")),
        "in_front_of",
        &["nope"],
    );
    blocks(
        |_, _, files| drop(files.remove(&Digest::of(b"new"))),
        "missing:canary.image",
        &["never uploaded"],
    );
    blocks(
        |_, _, files| drop(files.remove(&Digest::of(b"compose"))),
        "missing:baseline.compose",
        &["baseline"],
    );
    blocks(
        |spec, _, _| spec.canary.image = Digest::of(b"compose"),
        "kind:canary.image",
        &["something else"],
    );
    blocks(
        |spec, _, _| spec.canary.compose = Digest::of(b"new"),
        "kind:canary.compose",
        &["something else"],
    );
}

#[test]
fn a_protocol_that_this_world_does_not_speak_is_refused() {
    let https = arya_plan::listener::Protocol::Https;
    blocks(|spec, _, _| spec.app.protocol = https, "protocol", &["plain HTTP"]);
}

#[test]
fn a_rule_that_cannot_take_a_canary_is_explained() {
    let fixed = Action::FixedResponse {
        status: 200,
        content_type: "text/plain".into(),
        body: String::new(),
    };
    blocks(
        |_, site, _| site.rules[1].actions = vec![fixed],
        "no_production",
        &["redirects or answers"],
    );
    let redirect = Action::Redirect {
        verbatim: serde_json::json!({"Protocol": "HTTPS", "Host": "#{host}", "Path": "/#{path}"}),
    };
    blocks(
        |_, site, _| site.rules[1].actions = vec![redirect],
        "no_production",
        &["redirects or answers"],
    );
    blocks(
        |_, site, _| production_settings(site).target_type = TargetType::Lambda,
        "lambda",
        &["Lambda"],
    );
    blocks(
        |_, site, _| production_settings(site).protocol = Protocol::Grpc,
        "protocol_version",
        &["speaks gRPC and the app of this spec does not"],
    );
    blocks(
        |spec, _, _| {
            spec.app.protocol = Protocol::Grpc;
            spec.app.health_check_path = "/grpc.health.v1.Health/Check".into();
        },
        "protocol_version",
        &["speaks HTTP"],
    );
    blocks(
        |_, site, _| production_settings(site).stickiness = TargetStickiness::AppCookie,
        "app_cookie",
        &["cookie"],
    );
    blocks(
        |_, site, _| production_settings(site).stickiness = TargetStickiness::LoadBalancerCookie,
        "stickiness_needed",
        &["demands stickiness"],
    );
    for (count, with_ours) in [(4, "6"), (5, "7")] {
        let group = |i| WeightedGroup {
            group: GroupId::new(format!("g{i}")),
            weight: 1,
        };
        let forward = Action::Forward(Forward {
            groups: (0..count).map(group).collect(),
            stickiness_s: None,
        });
        blocks(
            |_, site, _| site.rules[1].actions = vec![forward],
            "limit:groups_per_action",
            &[&count.to_string(), with_ours, "5"],
        );
    }
    blocks(
        |_, site, _| site.groups.values_mut().for_each(|g| g.health.healthy = 0),
        "production_unhealthy",
        &["no healthy target"],
    );
}

#[test]
fn a_group_of_addresses_takes_a_canary_and_ours_drain_no_longer_than_two_minutes() {
    let delay = |production: u32| {
        let preview = previewed(|_, site, _| {
            production_settings(site).target_type = TargetType::Ip;
            production_settings(site).deregistration_delay_s = production;
        });
        preview.desired.unwrap().placement.group.deregistration_delay_s
    };
    assert_eq!([0, 30, 120, 300, 3_600].map(delay), [0, 30, 120, 120, 120]);
}

#[test]
fn a_shell_is_had_with_a_key_and_from_the_named_networks_alone() {
    let told = |key: &str, ranges: &[&str]| {
        let preview = previewed(|spec, _, _| {
            spec.instances.key_pair = key.into();
            spec.monitor.allow_cidrs = ranges.iter().map(|range| range.parse().unwrap()).collect();
        });
        let mut groups = preview.resources.iter().map(|line| line.what.clone());
        let of_apps = groups.find(|what| what.contains("group of baseline and canary"));
        (of_apps, preview)
    };
    let line = |key, ranges: &[&str]| told(key, ranges).0.unwrap();
    assert_eq!(line("none", &["10.0.0.0/8"]), "security group of baseline and canary");
    assert!(line("ana", &["10.0.0.0/8"]).ends_with("with SSH from 10.0.0.0/8 alone"));
    assert!(line("ana", &[]).contains("without SSH"));
    let world = told("ana", &["0.0.0.0/0"]).1;
    assert!(world.desired.is_none());
    has_problem(
        &world,
        "spec:monitor.allow_cidrs",
        Severity::Blocks,
        &["SSH", "whole world"],
    );
    assert!(
        told("none", &["0.0.0.0/0"]).1.desired.is_some(),
        "a private network's monitor asks for a password"
    );
}

#[test]
fn rules_of_all_listeners_of_a_load_balancer_are_counted_together() {
    let with_another = |load_balancer: &str| {
        let mut another = site();
        another.listener = ListenerId::new("another");
        another.load_balancer = LoadBalancerId::new(load_balancer);
        let rule = another.rules.remove(0);
        another.rules.extend((0..98).map(|number| Rule {
            priority: Priority::At(100 + number),
            ..rule.clone()
        }));
        make_preview(&spec(), &[site(), another], &files())
    };
    let full = with_another("lb");
    let used = |preview: &Preview| preview.quotas[0].used;
    assert_eq!((used(&full), full.desired.is_some()), (101, false));
    has_problem(&full, "limit:rules", Severity::Blocks, &["101", "100"]);
    let other = with_another("another");
    assert_eq!((used(&other), other.desired.is_some()), (3, true));
}

#[test]
fn a_plan_for_grpc_says_that_no_load_balancer_counts_its_failures() {
    let preview = previewed(|spec, site, _| {
        production_settings(site).protocol = Protocol::Grpc;
        spec.app.protocol = Protocol::Grpc;
        spec.app.health_check_path = "/grpc.health.v1.Health/Check".into();
    });
    let told = preview.problems.iter().find(|p| p.name == "grpc_calls_uncounted");
    let told = told.unwrap_or_else(|| panic!("{:?}", preview.problems));
    assert_eq!(told.severity, Severity::Note);
    assert!(told.sentence.contains("never said to be no worse"), "{}", told.sentence);
    assert!(told.next.contains("grpc_server_handled_total"), "{}", told.next);
}

#[test]
fn several_weighted_production_groups_keep_their_ratio() {
    let preview = previewed(|spec, site, _| {
        spec.canary_percent = CanaryPercent::new(10.0).unwrap();
        let mut second = site.groups[&GroupId::new("production")].clone();
        second.settings.name = "second".into();
        site.groups.insert(GroupId::new("second"), second);
        let weighted = |id: &str, weight| WeightedGroup {
            group: GroupId::new(id),
            weight,
        };
        let groups = vec![weighted("production", 75), weighted("second", 25)];
        site.rules[1].actions = vec![Action::Forward(Forward {
            groups,
            stickiness_s: None,
        })];
    });
    assert_eq!(preview.problems, []);
    assert_eq!(
        preview.shares.unwrap().weights,
        "production 6 + 2 : baseline 1 : canary 1"
    );
}

#[test]
fn archives_that_do_not_fit_are_refused() {
    let new = || Digest::of(b"new");
    blocks(
        |_, _, f| drop(f.insert(new(), image("charthealth/records:1", "arm64"))),
        "architecture:canary",
        &["arm64", "amd64"],
    );
    blocks(
        |_, _, f| drop(f.insert(new(), image("other/app:1", "amd64"))),
        "image_not_named:canary",
        &["other/app:1", "charthealth/records:1"],
    );
    blocks(
        |_, _, f| {
            let mut silent = image("charthealth/records:1", "amd64");
            silent.description.as_mut().unwrap().images[0].entrypoint.clear();
            f.insert(new(), silent);
        },
        "no_entrypoint:canary",
        &["no entrypoint"],
    );
    check(
        |spec, _, _| spec.canary.image = Digest::of(b"old"),
        "same_image",
        Severity::NeedsAcknowledgement,
        &["same image"],
    );
}

#[test]
fn compose_files_are_checked_before_anything_starts() {
    let web = "services:\n  web:\n    image: charthealth/records:1\n    ports: [\"8080:8080\"]\n";
    blocks(
        |_, _, f| replace_compose(f, &web.replace("8080:8080", "9090:8080")),
        "app_service:baseline",
        &["8080"],
    );
    blocks(
        |_, _, f| replace_compose(f, &format!("{web}    build: .\n")),
        "build:web",
        &["built from"],
    );
    let needs = Severity::NeedsAcknowledgement;
    let volume = format!("{web}    volumes: [\"pgdata:/data\"]\nvolumes:\n  pgdata: {{}}\n");
    check(
        |_, _, f| replace_compose(f, &volume),
        "volume:pgdata",
        needs,
        &["pgdata", "loses it"],
    );
    check(
        |_, _, f| replace_compose(f, &format!("{web}    env_file: .env\n")),
        "env_file:.env",
        needs,
        &[".env"],
    );
    let database = format!("{web}    depends_on: [db]\n  db:\n    image: postgres:16\n");
    check(
        |_, _, f| replace_compose(f, &database),
        "database:db",
        needs,
        &["postgres:16"],
    );
    let worker = format!("{web}  worker:\n    image: charthealth/records:1\n");
    check(
        |_, _, f| replace_compose(f, &worker),
        "skipped:canary",
        Severity::Note,
        &["worker"],
    );
}

#[test]
fn a_problem_acknowledged_by_name_no_longer_stops() {
    let preview = previewed(|spec, _, _| {
        spec.canary.image = Digest::of(b"old");
        spec.acknowledged.push("same_image".into());
    });
    assert!(preview.desired.is_some());
}

#[test]
fn the_digest_changes_with_the_rule_below_and_not_with_health() {
    let original = previewed(|_, _, _| {}).digest;
    let health = previewed(|_, site, _| site.groups.values_mut().for_each(|g| g.health.healthy = 1)).digest;
    let delay = previewed(|_, site, _| production_settings(site).deregistration_delay_s = 10).digest;
    assert_eq!(original, health);
    assert_ne!(original, delay);
}
