//! Documents as the API makes them, for tests and for looking at pages without a server.

mod ended;

use std::collections::BTreeMap;

use arya_judge::{Outcome, Timestamp};
use arya_plan::desired::Harmful;
use arya_plan::identity::{DeploymentId, InstallationId, LogicalId, Place, Role, RuleKind};
use arya_plan::observed::{BootPhase, Status};
use arya_plan::phase::Phase;
use arya_plan::spec::{Instances, OneOrMany, Spec};
use arya_plan::surroundings::MissingRight;
use serde_json::json;
use uuid::Uuid;

use crate::api::documents::*;
use crate::app::{About, ConnectionLine};
use crate::standing::{Remnant, Removal, Sight, Standing};
use crate::web::frame::Around;
use crate::web::judged::{self, Worse};
use crate::world::{Access, PolicyText, ProfileLine};
pub(crate) use ended::{destroyed, destroying, logs, report};

pub(crate) const HOSTILE: &str = "<script>alert(1)</script>";

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(crate) fn around() -> Around {
    Around {
        place: "Local cloud (try)".into(),
        place_class: "local",
        user: "you".into(),
        local: true,
    }
}

pub(crate) fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

pub(crate) fn spec(name: &str) -> Spec {
    let version = |letter| json!({"image": digest(letter), "compose": digest('c')});
    Spec::parse(&json!({
        "name": name, "listener": "local:web", "in_front_of": "local:rule-api", "canary_percent": 20,
        "conditions": [{"field": "path-pattern", "values": ["/api/*"]}],
        "app": {"port": 8080, "health_check_path": "/health"},
        "baseline": version('a'), "canary": version('b'),
    }))
    .unwrap()
}

fn side(requests_per_s: f64, error_percent: f64, p95_ms: f64) -> SideDocument {
    SideDocument {
        requests_per_s,
        error_percent: Some(error_percent),
        p95_ms: Some(p95_ms),
    }
}

pub(crate) fn traffic() -> TrafficDocument {
    TrafficDocument {
        window_s: 10.0,
        production: side(58.9, 0.3, 12.0),
        baseline: side(19.8, 0.25, 12.4),
        canary: side(20.1, 10.2, 163.0),
    }
}

pub(crate) fn deployment(name: &str, phase: Phase) -> DeploymentDocument {
    let shares = |p, a| Shares {
        production: p,
        baseline: a,
        canary: a,
    };
    DeploymentDocument {
        id: "7f9c24e8-3b12-4d7a-9a55-000000000001".parse::<DeploymentId>().unwrap(),
        name: name.into(),
        phase,
        phase_word: match phase {
            Phase::Serving => "serving",
            Phase::Held => "held",
            Phase::Provisioning => "provisioning",
            Phase::Destroying => "destroying",
            Phase::Destroyed => "destroyed",
            Phase::Failed => "failed",
            Phase::Uploading | Phase::WarmingUp | Phase::Draining => "busy",
        },
        headline:
            "Not enough evidence yet: the canary fails 0.31 % of requests (4 of 1,290), the baseline 0.23 % (3 of \
                   1,301); about 6 more minutes until no worse, 1 minute until harmful if it fails twice as often."
                .into(),
        goal: "serve",
        generation: 3,
        created_at: at(-400),
        expires_at: at(14_000),
        closed_at: None,
        as_of: at(0),
        spec: spec(name),
        weights: WeightsDocument {
            asked: shares(60.0, 20.0),
            applied: shares(60.0, 20.0),
            measured: Some(Shares {
                production: 59.6,
                baseline: 20.1,
                canary: 20.3,
            }),
        },
        instances: instances(),
        traffic: Some(traffic()),
        links: LinksDocument {
            prometheus: Some("/monitor".into()),
            ..LinksDocument::default()
        },
        verdict: Some(VerdictLine {
            outcome: Outcome::Inconclusive,
            sentence: String::new(),
        }),
        waiting: Vec::new(),
        hold: None,
        harmful: None,
        failed: None,
        cloud_error: None,
        rail: rail(phase),
        checklist: Vec::new(),
        cost: CostDocument {
            per_hour: 0.0,
            so_far: 0.0,
        },
        probe: Some(ProbeDocument {
            header: "X-Arya-Probe",
            value: "secret".into(),
            curl: Some("curl -H 'X-Arya-Probe: 5f1e' http://127.0.0.1:41001/health".into()),
        }),
        restore_proof: None,
    }
}

pub(crate) fn instances() -> Vec<InstanceDocument> {
    let instance = |role: Role, phase: Option<BootPhase>| InstanceDocument {
        role,
        place: format!("{role} instance"),
        id: format!("i-{role}"),
        incarnation: 1,
        state: "running",
        health: role.arm().map(|_| "healthy"),
        health_reason: None,
        address: Some("127.0.0.1:40123".into()),
        report: phase.map(|phase| Status::new(phase, at(-300))),
    };
    vec![
        instance(Role::Baseline, Some(BootPhase::Ready)),
        instance(Role::Canary, Some(BootPhase::Ready)),
        instance(Role::Monitor, None),
    ]
}

fn rail(phase: Phase) -> Vec<RailDocument> {
    let stops = [
        (Phase::Uploading, "uploading"),
        (Phase::Provisioning, "provisioning"),
        (Phase::WarmingUp, "warming up"),
        (
            if phase == Phase::Held {
                Phase::Held
            } else {
                Phase::Serving
            },
            if phase == Phase::Held { "held" } else { "serving" },
        ),
        (Phase::Draining, "draining"),
        (Phase::Destroying, "destroying"),
        (Phase::Destroyed, "destroyed"),
    ];
    let now = stops.iter().position(|(stop, _)| *stop == phase).unwrap_or(1);
    let state = |index: usize| match index.cmp(&now) {
        std::cmp::Ordering::Less => State::Done,
        std::cmp::Ordering::Equal => State::Now,
        std::cmp::Ordering::Greater => State::ToDo,
    };
    let stop = |(index, (phase, word)): (usize, &(Phase, &str))| RailDocument {
        phase: *phase,
        word: (*word).into(),
        state: state(index),
    };
    stops.iter().enumerate().map(stop).collect()
}

/// A canary that fails ten times in a hundred, caught and taken off.
pub(crate) fn harmful(name: &str) -> DeploymentDocument {
    let sentence = "Harmful: the canary fails 10.2 % of requests (131 of 1,284), the baseline 0.23 % (3 of 1,301); sure of \
                    at least 8.4 times.";
    let mut document = deployment(name, Phase::Held);
    document.headline = Headline {
        verdict: Some(sentence.into()),
        state: Some(TAKEN_AWAY.into()),
    };
    document.harmful = Some(Harmful {
        at: at(-20),
        sentence: sentence.into(),
        overruled: None,
        after: None,
    });
    document.verdict = Some(VerdictLine {
        outcome: Outcome::Harmful,
        sentence: sentence.into(),
    });
    document.weights.asked = Shares::PRODUCTION;
    document.weights.applied = Shares::PRODUCTION;
    document.weights.measured = Some(Shares::PRODUCTION);
    document.waiting = vec![WaitingDocument {
        reason: "person",
        since: at(-20),
        why: "The verdict is harmful. A person decides: overrule with a reason, or destroy.".into(),
    }];
    document
}

pub(crate) fn verdict(outcome: Outcome) -> VerdictDocument {
    let (size, minutes) = match outcome {
        Outcome::Harmful => (6.0, 10),
        Outcome::NoWorse => (1.0, 60),
        Outcome::Inconclusive => (1.2, 6),
    };
    let [errors, others @ ..] = judged::USUAL;
    let metrics: Vec<Worse> = std::iter::once(Worse(errors.0, errors.1, size)).chain(others).collect();
    let verdict = judged::verdict(&judged::run(&metrics, minutes));
    assert_eq!(verdict.outcome, outcome, "{}", verdict.sentence);
    verdict
}

pub(crate) fn events(sentence: &str) -> Vec<EventDocument> {
    let id = "7f9c24e8-3b12-4d7a-9a55-000000000001".parse::<DeploymentId>().unwrap();
    let line = |(seq, text): (usize, &str)| EventDocument {
        seq: 100 - seq as u64,
        at: at(-(seq as i64) * 17),
        deployment: id,
        actor: "Arya".into(),
        event: arya_engine::Event::Noted { sentence: text.into() },
        sentence: text.into(),
    };
    let texts = [
        sentence,
        "Users reach baseline and canary now.",
        "Arya began: the canary gets 20 % of matching traffic, the baseline 20 %.",
        "The canary instance is warmed up and ready (3.2 s after its start).",
        "The baseline instance is up (2.1 s after its start).",
        "Arya created the canary target group.",
        "you started \"emr-1.1\": canary and baseline are to get 20 % each.",
    ];
    texts.into_iter().enumerate().map(line).collect()
}

/// What stands around the pages of a server on AWS.
pub(crate) fn on_aws() -> Around {
    Around {
        place: "123456789012 · eu-west-1".into(),
        place_class: "aws",
        local: false,
        ..around()
    }
}

/// Two accounts, of which one does not answer.
pub(crate) fn accounts() -> ListenersDocument {
    let mut document = listeners();
    let known = |text: &str| Some(text.to_owned());
    document.connections = vec![
        ConnectionDocument {
            name: "production".into(),
            account: known("123456789012"),
            region: known("eu-west-1"),
            arn: known("arn:aws:sts::123456789012:assumed-role/arya/ana"),
            as_of: Some(at(0)),
            error: None,
            credentials_end: Some(at(3600)),
            missing: Some(vec![MissingRight {
                action: "ec2:RunInstances".into(),
                words: "launch the instance".into(),
                statement: json!({"Effect": "Allow", "Action": ["ec2:RunInstances"], "Resource": ["*"]}),
            }]),
            unknown: vec!["s3:PutObject".into()],
        },
        ConnectionDocument {
            name: "staging".into(),
            account: None,
            region: None,
            arn: None,
            as_of: None,
            credentials_end: None,
            missing: None,
            unknown: vec![],
            error: known("AWS does not know the credentials. Log in again: aws sso login --profile staging."),
        },
    ];
    for balancer in &mut document.load_balancers {
        balancer.connection = "production".into();
    }
    document
}

pub(crate) fn access() -> Access {
    Access {
        policies: vec![PolicyText {
            name: "discover",
            what: "Look around and plan. Changes nothing.",
            text: "{\n  \"Version\": \"2012-10-17\"\n}".into(),
        }],
        profiles: vec![ProfileLine {
            name: HOSTILE.into(),
            region: "eu-west-1".into(),
            means: "single sign-on",
        }],
    }
}

pub(crate) fn about() -> About {
    About {
        installation: InstallationId::new(Uuid::from_u128(1)),
        data_dir: "/var/lib/arya".into(),
        config: Some("/etc/arya/serve.yaml".into()),
        token_file: None,
        connections: vec![ConnectionLine {
            name: HOSTILE.into(),
            profile: "prod".into(),
            role: Some("arn:aws:iam::123456789012:role/arya".into()),
            region: None,
            endpoint: None,
            measured_by: "CloudWatch",
        }],
        open: 2,
        files_bytes: 1_234_567_890,
        database_bytes: 4_567_890,
    }
}

/// Looked for, and not found.
pub(crate) fn nothing_left() -> Left {
    let (mut sight, _) = left();
    let mut all = sight.all.to_vec();
    all.iter_mut().for_each(|one| one.found.clear());
    sight.all = all.into();
    (sight, BTreeMap::new())
}

/// What stands, and what is being removed.
pub(crate) type Left = (Sight, BTreeMap<DeploymentId, Removal>);

/// One of ours, one of somebody else's, one that is being removed, one that could not be.
pub(crate) fn left() -> Left {
    let id = |number| DeploymentId::new(Uuid::from_u128(number));
    let remnant = |number, installation| Remnant {
        deployment: id(number),
        installation: InstallationId::new(Uuid::from_u128(installation)),
        places: [LogicalId::Bucket, LogicalId::Rule(RuleKind::Main)].into(),
        listener: None,
    };
    let standing = |connection: &str, found, error: Option<&str>| Standing {
        connection: connection.into(),
        place: "123456789012 · eu-west-1".into(),
        error: error.map(str::to_owned),
        found,
    };
    let found = vec![remnant(1, 1), remnant(2, 2), remnant(3, 1), remnant(4, 1)];
    let ended = |ended| Removal {
        lines: vec!["The instances were ended.".into()],
        ended,
    };
    let removals = [
        (id(3), ended(None)),
        (id(4), ended(Some(Err("The role lacks ec2:TerminateInstances.".into())))),
        (id(5), ended(Some(Ok(())))),
    ];
    let sight = Sight {
        as_of: Some(at(0)),
        all: vec![
            standing("production", found, None),
            standing("away", vec![], Some("Nobody answers.")),
        ]
        .into(),
    };
    (sight, removals.into())
}

pub(crate) fn listeners() -> ListenersDocument {
    let group = |name: &str| RuleGroupDocument {
        id: format!("local:{name}"),
        name: name.into(),
        weight: 1,
        share: 100.0,
        healthy: Some(2),
        registered: Some(2),
    };
    let rule = |priority: &str, id: &str, when: &str, then: &str, groups| RuleDocument {
        id: arya_plan::listener::RuleId::new(id),
        priority: priority.into(),
        conditions: Vec::new(),
        when: when.into(),
        then: then.into(),
        actions: vec![then.into()],
        groups,
        deployment: None,
    };
    ListenersDocument {
        load_balancers: vec![LoadBalancerDocument {
            id: arya_plan::listener::LoadBalancerId::new("local:emr"),
            name: "emr".into(),
            connection: "default".into(),
            account: None,
            region: None,
            listeners: vec![ListenerDocument {
                id: arya_plan::listener::ListenerId::new("local:web"),
                address: "http://127.0.0.1:41001".into(),
                port: 41001,
                rules: vec![
                    rule("10", "local:rule-img", "path is /img/*", "answer 404 by itself", vec![]),
                    rule(
                        "20",
                        "local:rule-api",
                        "path is /api/*",
                        "forward to api-servers",
                        vec![group("api-servers")],
                    ),
                    rule(
                        "default",
                        "local:rule-default",
                        "everything else",
                        "forward to web",
                        vec![group("web")],
                    ),
                ],
            }],
        }],
        connections: vec![ConnectionDocument {
            name: "default".into(),
            account: None,
            region: None,
            arn: None,
            as_of: Some(at(0)),
            error: None,
            credentials_end: None,
            missing: None,
            unknown: vec![],
        }],
        as_of: at(0),
    }
}

pub(crate) fn artifact(text: &str) -> Option<ArtifactDocument> {
    let image = text.starts_with("sha256:a") || text.starts_with("sha256:b");
    let description = json!({
        "digest": text, "size": 4_200_000, "kind": if image { "image_archive" } else { "compose" },
        "filename": if image { "records.tar.gz" } else { "compose.yaml" },
        "images": if image { json!([{"reference": "charthealth/records:1.1", "references": ["charthealth/records:1.1"],
            "architecture": "amd64", "os": "linux", "exposed_ports": [8080], "env_names": ["PATH", HOSTILE],
            "layers": [{"digest": digest('d'), "size": 4_000_000}, {"digest": text, "size": 200_000}]}]) } else { json!([]) },
        "services": if image { json!([]) } else { json!([{"name": "web", "image": "charthealth/records:1.1", "ports": ["8080:8080"]}]) },
    });
    serde_json::from_value(description).ok()
}

pub(crate) fn plan() -> PlanDocument {
    use arya_plan::preview::{KindTime, OtherDoor, Quota, ResourceLine, RuleLine, SharesLine, TimeToVerdict};
    use arya_plan::problem::Severity;
    let rule = |priority: &str, conditions: &str, actions: &str, ours: Option<&str>, chosen| RuleLine {
        priority: priority.into(),
        id: priority.into(),
        conditions: conditions.into(),
        actions: actions.into(),
        ours: ours.map(str::to_owned),
        chosen,
    };
    let chosen = rule("20", "path is /api/*", "forward to api-servers", None, true);
    let last = rule("default", "everything else", "forward to web", None, false);
    let problem = |name: &str, severity, sentence: &str| ProblemLine {
        name: name.into(),
        blocking: severity != Severity::Note,
        sentence: sentence.into(),
        next: "Do something.".into(),
        severity,
        acknowledgeable: severity == Severity::NeedsAcknowledgement,
        field: None,
    };
    PlanDocument {
        applicable: false,
        sentence: "One problem stands in the way. Nothing was touched.".into(),
        rules_before: vec![chosen.clone(), last.clone()],
        rules_after: vec![
            rule(
                "18",
                "header X-Arya-Probe is a secret and path is /api/*",
                "forward to baseline, canary",
                Some("probe"),
                false,
            ),
            rule(
                "19",
                "path is /api/*",
                "forward to api-servers (60 %), baseline (20 %), canary (20 %)",
                Some("main"),
                false,
            ),
            chosen,
            last,
        ],
        resources: vec![ResourceLine {
            logical_id: serde_json::from_value(json!("bucket")).unwrap_or(arya_plan::identity::LogicalId::Bucket),
            name: "arya-p6ocj2b3cj".into(),
            what: "temporary bucket".into(),
        }],
        checklist: vec![
            "create the temporary bucket".into(),
            "launch the canary instance".into(),
        ],
        problems: vec![
            problem(
                "volume:pgdata",
                Severity::NeedsAcknowledgement,
                "The volume pgdata would be lost with the instances.",
            ),
            problem(
                "note:cdn",
                Severity::Note,
                "Pages that a cache answers never reach the canary.",
            ),
        ],
        quotas: vec![Quota {
            name: "rules of the load balancer".into(),
            used: 5,
            limit: 100,
        }],
        price_per_hour: 0.125,
        price_note: Some("List prices.".into()),
        instances: Some(Instances {
            instance_type: "m5.large".into(),
            subnets: OneOrMany::Many(vec!["subnet-1".into(), "subnet-2".into()]),
            ..Instances::default()
        }),
        other_doors: vec![OtherDoor {
            listener: "web".into(),
            rule: "default".into(),
            sentence: "The default rule reaches web too; this canary misses that traffic.".into(),
            share_percent: Some(12.5),
        }],
        other_doors_note: Some("By the load balancer's access logs.".into()),
        time_to_verdict: TimeToVerdict {
            requests_per_s: Some(100.0),
            canary_requests_per_s: Some(20.0),
            sentence: "At 100 requests a second a tenfold error rate shows in about 20 s.".into(),
            by_kind: vec![KindTime {
                kind: arya_judge::MetricKind::ErrorShare,
                regression: "twice the failures".into(),
                harmful_s: Some(200.0),
                no_worse_s: Some(900.0),
                sentence:
                    "Twice the failures: harmful in about 4 minutes; nothing wrong: no worse in about 15 minutes."
                        .into(),
            }],
        },
        shares: Some(SharesLine {
            asked: serde_json::from_value(json!(20.0)).unwrap(),
            canary: 20.0,
            baseline: 20.0,
            production: 60.0,
            weights: "3 : 1 : 1".into(),
        }),
        digest: "d1".into(),
        as_of: at(0),
    }
}
