//! From real tarballs to restored production: serving, shares, stickiness, judgement, and no request lost.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use serde_json::{Value, json};
use tests::Arya;
use tests::load::{Walk, cycles_under_load, versions};

const SERVING_MAX: Duration = Duration::from_secs(15);
const DESTROYED_MAX: Duration = Duration::from_secs(15);
const HARMFUL_MAX: Duration = Duration::from_secs(30);
const RULE_GONE_MAX: Duration = Duration::from_secs(2);

fn host_and_port(url: &str) -> String {
    url.trim_start_matches("http://").trim_end_matches('/').to_owned()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// The share of answers that came from the canary's version (the sample called `canary` says 1.1).
fn canary_percent(seen: &std::collections::BTreeMap<String, usize>) -> f64 {
    let all: usize = seen.values().sum();
    let canary: usize = seen
        .iter()
        .filter(|(body, _)| body.contains("1.1"))
        .map(|(_, n)| n)
        .sum();
    100.0 * canary as f64 / all as f64
}

#[test]
fn story_the_main_job_from_tarballs_to_restored_production() {
    let arya = Arya::start(&[]);
    assert!(
        arya.up_after <= Duration::from_secs(2),
        "the page came up after {:?}",
        arya.up_after
    );
    let deployment = arya.deploy(&arya.spec("main job", "canary", 20.0));
    let took = deployment.wait_phase("serving", SERVING_MAX);
    println!("page up after {:?}, serving after {took:?}", arya.up_after);

    let runtime = runtime();
    let address = host_and_port(arya.balancer());
    let seen = runtime.block_on(versions(&address, 20_000, None));
    let percent = canary_percent(&seen);
    println!("asked 20 %, measured {percent:.2} % over 20,000 requests");
    assert!(
        (percent - 20.0).abs() <= 1.0,
        "asked 20 %, measured {percent:.2} %: {seen:?}"
    );

    for share in [5.0, 25.0, 0.0, 10.0] {
        deployment.set_share(share);
    }
    deployment.wait_phase("serving", SERVING_MAX);
    let took = deployment.destroy_and_prove(DESTROYED_MAX);
    println!("destroyed after {took:?}");
    let sentences = deployment.sentences();
    assert!(
        sentences.iter().any(|s| s.contains("exactly as before")),
        "{sentences:#?}"
    );
    let seen = runtime.block_on(versions(&address, 500, None));
    assert_eq!(canary_percent(&seen), 0.0, "production answers alone again: {seen:?}");
}

#[test]
fn story_a_sticky_client_stays_with_its_side() {
    let arya = Arya::start(&["--load", "20"]);
    let mut spec = arya.spec("sticky", "canary", 25.0);
    spec["stickiness_s"] = json!(600);
    let deployment = arya.deploy(&spec);
    deployment.wait_phase("serving", SERVING_MAX);
    let address = host_and_port(arya.balancer());
    let mut canary_clients = 0;
    let clients = 40;
    runtime().block_on(async {
        for _ in 0..clients {
            let cookie = sticky_cookie(&address).await;
            let seen = versions(&address, 25, Some(&cookie)).await;
            let sides: std::collections::BTreeSet<bool> = seen.keys().map(|body| body.contains("1.1")).collect();
            assert_eq!(sides.len(), 1, "one client saw both versions: {seen:?}");
            canary_clients += usize::from(sides.contains(&true));
        }
    });
    assert!(
        (1..clients).contains(&canary_clients),
        "{canary_clients} of {clients} clients met the canary"
    );
}

async fn sticky_cookie(address: &str) -> String {
    let mut connection = tests::load::connect(address).await.unwrap();
    let request = hyper::Request::builder()
        .uri("/version")
        .header("host", "emr.example.com");
    let response = connection
        .send_request(request.body(Default::default()).unwrap())
        .await
        .unwrap();
    let cookies = response
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|c| c.to_str().unwrap());
    let sticky = cookies
        .into_iter()
        .find(|c| c.starts_with("AWSALBTG="))
        .expect("a sticky rule sets AWSALBTG");
    sticky.split(';').next().unwrap().to_owned()
}

#[test]
fn story_no_request_is_lost_while_canaries_come_and_go() {
    let walked = cycles_under_load(Walk {
        cycles: 3,
        per_s: 500,
        per_state: 600,
        destroyed_max: DESTROYED_MAX,
    });
    println!("{walked}");
    assert_eq!(walked.counts.failed(), 0, "{:#?}", walked.counts.words());
    assert!(walked.counts.sent.load(SeqCst) > 9_000, "{walked}");
    assert!(walked.files > 0, "{walked}");
}

#[test]
fn story_a_bad_canary_is_harmful_and_its_traffic_goes_by_itself() {
    let arya = Arya::start(&[]);
    let deployment = arya.deploy(&arya.spec("bad", "canary_bad", 20.0));
    deployment.wait_phase("serving", SERVING_MAX);
    let took = deployment.wait("harmful", HARMFUL_MAX, |d| d["verdict"]["outcome"] == "harmful");
    println!("harmful after {took:?}");
    deployment.wait_phase("held", Duration::from_secs(3));
    let held = deployment.look();
    assert_eq!(held["weights"]["asked"]["canary"], json!(0.0), "{held:#}");
    assert!(
        held["waiting"][0]["why"].as_str().unwrap().contains("overrule"),
        "{held:#}"
    );

    // Traffic is away, so the numbers get no worse; the verdict must not turn into a pass.
    let (status, refused) = deployment.weight(5.0);
    assert_eq!(status, 409, "{refused}");
    let overruled = |reason: &str| {
        arya.post(
            &format!("/deployments/{}/override", deployment.id),
            &json!({"reason": reason}),
        )
    };
    assert_eq!(overruled("").0, 422);
    assert!(overruled("the partner's test traffic").0 < 300);
    assert!(deployment.weight(5.0).0 < 300);
    deployment.wait_phase("serving", SERVING_MAX);
    deployment.destroy_and_prove(DESTROYED_MAX);

    let again = arya.spec("again", "canary_bad", 20.0);
    assert_eq!(
        arya.post("/deployments", &again).0,
        201,
        "an overruled verdict does not block"
    );
}

#[test]
fn story_a_harmful_pair_is_blocked_until_acknowledged() {
    let arya = Arya::start(&[]);
    let deployment = arya.deploy(&arya.spec("first", "canary_bad", 20.0));
    deployment.wait("harmful", SERVING_MAX + HARMFUL_MAX, |d| {
        d["verdict"]["outcome"] == "harmful"
    });
    deployment.destroy_and_prove(DESTROYED_MAX);
    let mut spec = arya.spec("second", "canary_bad", 20.0);
    let name = format!("harmful:{}", deployment.id);
    let (_, plan) = arya.post("/plans", &spec);
    let problem = plan["problems"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["name"] == name.as_str());
    assert_eq!(problem.map(|p| &p["blocking"]), Some(&Value::Bool(true)), "{plan:#}");
    assert!(arya.post("/deployments", &spec).0 >= 400);
    spec["acknowledged"] = json!([name]);
    assert_eq!(arya.post("/deployments", &spec).0, 201);
}

#[test]
fn story_a_production_deploy_takes_our_rule_away_at_once() {
    let arya = Arya::start(&[]);
    let deployment = arya.deploy(&arya.spec("shadow", "canary", 10.0));
    deployment.wait_phase("serving", SERVING_MAX);
    // The call answers when the rule below has just swapped its group.
    let (status, answer) = arya.post("/try/production-deploys", &json!({}));
    let swapped = std::time::Instant::now();
    assert!(status < 300, "{answer}");
    deployment.wait("without our rule", RULE_GONE_MAX, |d| {
        d["weights"]["applied"]["canary"] == json!(0.0)
    });
    let took = swapped.elapsed().as_secs_f64();
    deployment.wait_phase("held", RULE_GONE_MAX);
    println!("our rule went {took:.2} s after the rule below changed");
    let sentences = deployment.sentences();
    assert!(sentences.iter().any(|s| s.contains("watchdog")), "{sentences:#?}");
    let (_, answer) = deployment.destroy();
    deployment.wait_phase("destroyed", DESTROYED_MAX);
    let proof = deployment.look()["restore_proof"].clone();
    let differences = proof["differences"].as_array().unwrap();
    assert!(
        !differences.is_empty() && differences.iter().all(|d| d["whose"] == "others"),
        "{answer} {proof:#}"
    );
}
