//! Presigned URLs at a server that checks signature and end.

use std::time::{Duration, Instant};

use arya_aws::BareBucket;
use arya_plan::spec::Digest;
use ureq::http::Request;

use crate::server::{BUCKET, Server, connection};

const HOUR: Duration = Duration::from_secs(3600);
/// S3 counts in whole seconds, so it is one less at least.
const SHORT: Duration = Duration::from_secs(3);
/// Much longer than a short one lives.
const ENDED_WITHIN: Duration = Duration::from_secs(15);
const SAID: &str = "{\"phase\":\"ready\"}";

fn ask(method: &str, url: &str, body: &str) -> (u16, Vec<u8>) {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = config.allow_non_standard_methods(true).build().into();
    let request = Request::builder()
        .method(method)
        .uri(url)
        .body(body.to_owned())
        .unwrap();
    let mut answer = agent.run(request).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap())
}

fn refused(method: &str, url: &str) {
    let (status, said) = ask(method, url, "");
    assert_eq!(status, 403, "{method} {url}: {}", String::from_utf8_lossy(&said));
}

/// The signature's last digit is another one.
fn tampered(url: &str) -> String {
    let (before, signature) = url.split_once("X-Amz-Signature=").unwrap();
    let first = if signature.starts_with('0') { '1' } else { '0' };
    format!("{before}X-Amz-Signature={first}{}", &signature[1..])
}

pub(crate) async fn a_url_opens_one_object_for_one_method_until_it_ends() {
    let server = Server::start();
    let bucket = BareBucket::of(&connection(&server.endpoint), BUCKET).await.unwrap();
    let file = server.folder.path().join("settings");
    std::fs::write(&file, b"settings of an instance").unwrap();
    let digest = Digest::of(b"settings of an instance");
    bucket.send(&digest, &file).await.unwrap();
    let [get, _] = bucket.urls(&BareBucket::key(&digest), HOUR).await.unwrap();
    let [_, put] = bucket.urls("status/instance-canary-0-1.json", HOUR).await.unwrap();
    let [short, _] = bucket.urls(&BareBucket::key(&digest), SHORT).await.unwrap();
    let checked = tokio::task::spawn_blocking(move || {
        let signed = Instant::now();
        assert_eq!(ask("GET", &short, "").0, 200);
        assert_eq!(ask("GET", &get, ""), (200, b"settings of an instance".to_vec()));
        assert_eq!(ask("PUT", &put, SAID).0, 200);
        let stored = server.stored("status/instance-canary-0-1.json");
        assert_eq!(std::fs::read_to_string(&stored).unwrap(), SAID);
        let mut refusals = 0;
        let mut no = |method: &str, url: &str| {
            refused(method, url);
            refusals += 1;
        };
        for (method, url) in [("PUT", &get), ("DELETE", &get), ("GET", &put), ("DELETE", &put)] {
            no(method, url);
        }
        no("GET", &get.replacen("/files/", "/once/", 1));
        no("PUT", &put.replacen("canary-0-1", "canary-0-2", 1));
        no("GET", &tampered(&get));
        no("PUT", &tampered(&put));
        no("GET", &get.replacen("X-Amz-Expires=", "X-Amz-Expires=9", 1));
        no("GET", get.split_once('?').unwrap().0);
        no("PUT", put.split_once('?').unwrap().0);
        while ask("GET", &short, "").0 != 403 {
            assert!(signed.elapsed() < ENDED_WITHIN, "it opens for ever");
            std::thread::park_timeout(Duration::from_millis(200));
        }
        assert_eq!(
            std::fs::read_to_string(stored).unwrap(),
            SAID,
            "what was refused was done"
        );
        println!("   presigned URLs: 3 uses, {refusals} misuses and one that had ended: kept");
    });
    checked.await.unwrap();
}
