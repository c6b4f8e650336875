//! What people get wrong: each a clear sentence, never a panic, nothing half-created left behind.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tests::{Arya, arya_binary};

fn problem_names(plan: &Value) -> Vec<&str> {
    plan["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect()
}

/// Three parts: what happened, how the world is now, what to do.
fn is_a_sentence_for_people(problem: &Value) {
    let detail = problem["detail"]
        .as_str()
        .unwrap_or_else(|| panic!("no detail: {problem:#}"));
    assert!(
        detail.len() > 30 && !detail.contains("panicked") && !detail.contains("Err("),
        "{detail}"
    );
}

#[test]
fn api_broken_archives_are_refused_with_a_sentence_and_leave_nothing() {
    let arya = Arya::start(&["--load", "0"]);
    let image = std::fs::read(arya.sample("canary", "image")).unwrap();
    let artifacts = || {
        let folder = std::path::Path::new(arya.ready["data_dir"].as_str().unwrap()).join("artifacts");
        std::fs::read_dir(folder).map(|entries| entries.count()).unwrap_or(0)
    };
    let before = artifacts();
    let mut escape = vec![0u8; 512];
    escape[..12].copy_from_slice(b"../../escape");
    let cases: [(&str, Vec<u8>); 6] = [
        ("truncated.tar", image[..image.len() / 2].to_vec()),
        ("cut-in-the-first-block.tar", image[..300].to_vec()),
        (
            "noise.tar",
            (0..20_000u32)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
                .collect(),
        ),
        ("empty.tar", vec![]),
        ("escape.tar", escape),
        ("page.html", b"<html><body>502 Bad Gateway</body></html>".to_vec()),
    ];
    for (name, bytes) in cases {
        let (status, problem) = arya.put_bytes(name, &bytes);
        assert_eq!(status, 422, "{name}: {problem:#}");
        is_a_sentence_for_people(&problem);
    }
    assert_eq!(artifacts(), before, "a refused upload left a file behind");
}

#[test]
fn api_compose_files_that_do_not_fit_are_refused_before_anything_starts() {
    let arya = Arya::start(&["--load", "0"]);
    let good = std::fs::read_to_string(arya.sample("canary", "compose")).unwrap();
    let spec = arya.spec("compose", "canary", 5.0);
    let plan_with = |compose: &str| {
        let (status, artifact) = arya.put_bytes("compose.yaml", compose.as_bytes());
        assert!(status < 300, "{artifact:#}");
        let mut spec = spec.clone();
        spec["canary"]["compose"] = artifact["digest"].clone();
        let (status, plan) = arya.post("/plans", &spec);
        assert_eq!(status, 200, "{plan:#}");
        assert!(arya.post("/deployments", &spec).0 >= 400);
        plan
    };
    let other_image = good.replace("charthealth/records", "somebody/else");
    assert!(problem_names(&plan_with(&other_image)).contains(&"image_not_named:canary"));
    let no_port = good
        .lines()
        .filter(|line| !line.contains("8080") && !line.contains("ports"))
        .collect::<Vec<_>>();
    assert!(problem_names(&plan_with(&no_port.join("\n"))).contains(&"app_service:canary"));
    for text in ["services: [not: {a mapping", "- just\n- a list\n", "services: {}\n"] {
        let (status, problem) = arya.put_bytes("compose.yaml", text.as_bytes());
        assert_eq!(status, 422, "{text}: {problem:#}");
        is_a_sentence_for_people(&problem);
    }
    let (_, list) = arya.get("/deployments");
    assert_eq!(
        list.as_array().or_else(|| list["deployments"].as_array()).map(Vec::len),
        Some(0),
        "{list:#}"
    );
}

#[test]
fn api_specs_out_of_range_are_named_with_their_key() {
    let arya = Arya::start(&["--load", "0"]);
    let spec = arya.spec("ranges", "canary", 5.0);
    let refused = |key: &str, value: Value, field: &str| {
        let mut spec = spec.clone();
        spec[key] = value;
        let (status, problem) = arya.post("/deployments", &spec);
        assert_eq!(status, 422, "{key}: {problem:#}");
        assert_eq!(problem["field"], field, "{problem:#}");
    };
    refused("canary_percent", json!(51), "canary_percent");
    refused("canary_percent", json!(-1), "canary_percent");
    refused("canary_percent", json!("many"), "canary_percent");
    refused("canary_prcent", json!(5), "canary_prcent");
    refused("stickiness_s", json!(700_000), "stickiness_s");
    refused("lifetime_h", json!(1000), "lifetime_h");
    refused("listener", json!("local:nope"), "listener");
}

/// Runs `arya try` where it cannot work and returns its exit code and what it said.
fn refused(args: &[&str]) -> (i32, String) {
    let mut command = Command::new(arya_binary());
    command
        .args(["try", "--json", "--no-browser"])
        .args(args)
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.code().unwrap(), said)
}

#[test]
fn api_a_port_in_use_is_a_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = tempfile::tempdir().unwrap();
    let (code, said) = refused(&["--listen", &address, "--data-dir", data.path().to_str().unwrap()]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
    assert_eq!(
        std::fs::read_dir(data.path()).unwrap().count(),
        0,
        "a refused start left files behind"
    );
}

#[test]
fn api_a_data_directory_that_cannot_be_written_is_a_sentence() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("a-file");
    std::fs::write(&file, "not a folder").unwrap();
    // As root a mode does not stop writing, so the folder is made impossible rather than forbidden.
    let inside = file.join("data");
    let (code, said) = refused(&["--listen", "127.0.0.1:0", "--data-dir", inside.to_str().unwrap()]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("--data-dir"), "{said}");
    let (code, said) = refused(&["--listen", "127.0.0.1:0", "--data-dir", "/proc/arya"]);
    assert_eq!(code, 3, "{said}");
}

#[test]
fn api_a_second_try_on_the_same_directory_is_refused_and_the_first_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let first = Arya::start_in(data.path(), &["--load", "0"]);
    let (code, said) = refused(&["--listen", "127.0.0.1:0", "--data-dir", data.path().to_str().unwrap()]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("--data-dir"), "{said}");
    let deployment = first.deploy(&first.spec("still here", "canary", 5.0));
    deployment.wait_phase("serving", Duration::from_secs(15));
}
