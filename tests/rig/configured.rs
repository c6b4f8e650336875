//! The app's own configuration: files at their paths, secrets that are fetched once, https with a certificate of its own.

use std::process::Command;
use std::time::Duration;

use arya_plan::listener::Protocol;
use arya_plan::observed::BootPhase;

use crate::deployed::{Order, STATUS};
use crate::machine::{Image, Machine, prometheus_image, prometheus_name};

const SOON: Duration = Duration::from_secs(90);

#[test]
fn an_env_file_reaches_the_app_once_and_is_told_to_nobody() {
    let mut order = Order::new();
    order.upload_image();
    // In the format of compose: between single quotes nothing has a meaning.
    let secret = "SAMPLE_VERSION='s3cr3t-$HOME-\"x\"'\n";
    order.bucket.store("env", secret);
    order.settings.env_file = Some(order.bucket.object("env", secret.as_bytes()));
    order.settings.remove = vec![order.bucket.sign("DELETE", "env")];
    let machine = Machine::launch(Image::Prepared, &order.user_data());
    order.wait_for(BootPhase::Ready, SOON);
    let metrics =
        machine.run("curl --silent http://127.0.0.1:8080/metrics; docker inspect --format '{{.Config.Env}}' app-web-1");
    assert!(metrics.contains("SAMPLE_VERSION=s3cr3t-$HOME-\"x\""), "{metrics}");
    assert!(!order.bucket.has("env"), "it is still in the bucket");
    let reports = order.bucket.versions(STATUS);
    let reports: String = reports.iter().map(crate::bucket::Version::text).collect();
    assert!(!(machine.journal() + &reports).contains("s3cr3t"));

    // After a reboot it is not in the bucket any more, and is not needed there.
    machine.reboot();
    order.wait_for_again(BootPhase::Ready, 2, SOON);
}

#[test]
fn https_with_a_certificate_of_its_own_is_asked_and_warmed_up() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=app",
        ])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut order = Order::new();
    // Prometheus is here an app that speaks TLS.
    order.compose(&format!(
        "services:\n  web:\n    image: {}\n    ports: [\"8080:9090\"]\n    volumes: [\"./tls:/etc/prometheus:ro\"]\n    \
         command: [--web.config.file=/etc/prometheus/web.yml, --config.file=/etc/prometheus/prometheus.yml, --storage.tsdb.path=/prometheus]\n",
        prometheus_name()
    ));
    let image = prometheus_image();
    order.bucket.store("image", image.clone());
    order.settings.image = Some(order.bucket.object("image", &image));
    let pem = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let files = [
        (
            "tls/web.yml",
            b"tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n".to_vec(),
        ),
        ("tls/prometheus.yml", b"{}\n".to_vec()),
        ("tls/cert.pem", pem("cert.pem")),
        ("tls/key.pem", pem("key.pem")),
    ];
    order.settings.files = files
        .map(|(path, bytes)| {
            order.bucket.store(path, bytes.clone());
            (path.to_owned(), order.bucket.object(path, &bytes))
        })
        .into();
    order.settings.app.protocol = Protocol::Https;
    order.settings.app.health_check_path = "/-/ready".into();
    order.settings.app.warm_up.paths = vec!["/-/healthy".into(), "/metrics?a=[1]".into()];
    order.settings.app.warm_up.host = Some("emr.example.com".into());
    let machine = Machine::launch(Image::Prepared, &order.user_data());
    order.wait_for(BootPhase::Ready, SOON);
    machine.run("curl --fail --silent --insecure https://127.0.0.1:8080/-/ready");
}
