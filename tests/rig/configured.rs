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
    // In the format of compose: between single quotes nothing has a meaning.
    order.settings.env_file = Some(order.bucket.once("env", "SAMPLE_VERSION='s3cr3t-$HOME-\"x\"'\n"));
    order.settings.files = vec![("conf/state".into(), order.bucket.once("state", "as it came"))];
    let machine = Machine::launch(Image::Prepared, &order.user_data());
    order.wait_for(BootPhase::DockerReady, SOON);
    // They leave the bucket while the image is still on its way.
    for key in ["env", "state"] {
        assert!(order.bucket.gone_within(key, SOON), "{key} is still in the bucket");
    }
    order.upload_image();
    order.wait_for(BootPhase::Ready, SOON);
    let metrics =
        machine.run("curl --silent http://127.0.0.1:8080/metrics; docker inspect --format '{{.Config.Env}}' app-web-1");
    assert!(metrics.contains("SAMPLE_VERSION=s3cr3t-$HOME-\"x\""), "{metrics}");
    let reports = order.bucket.versions(STATUS);
    let reports: String = reports.iter().map(crate::bucket::Version::text).collect();
    assert!(!(machine.journal() + &reports).contains("s3cr3t"));

    // After a reboot they are not in the bucket any more, and are not needed there; what the app wrote stays.
    machine.run("echo 'as the app wrote it' > /var/lib/arya/app/conf/state");
    machine.reboot();
    order.wait_for_again(BootPhase::Ready, 2, SOON);
    assert_eq!(machine.run("cat /var/lib/arya/app/conf/state"), "as the app wrote it\n");
}

#[test]
fn stores_of_the_account_become_the_apps_environment_once() {
    let mut order = Order::new();
    let secret = "secretsmanager:arn:aws:secretsmanager:eu-central-1:1:secret:shop";
    order.settings.env_from = ["ssm:/shop", "ssm:/alone/SAMPLE_VERSION", secret]
        .map(str::to_owned)
        .into();
    order.settings.aws_endpoint = Some("http://169.254.169.254".into());
    let machine = Machine::launch(Image::Prepared, &order.user_data());
    machine.run("ip address add 169.254.169.254/32 dev lo");
    machine.put("/run/account.py", include_str!("account.py"));
    machine.run("python3 /run/account.py 169.254.169.254 80 >/run/account.log 2>&1 &");
    // Only now does it get that far.
    order.upload_image();
    order.wait_for(BootPhase::Ready, SOON);
    let environment = machine.run("docker inspect --format '{{json .Config.Env}}' app-web-1");
    let environment: Vec<String> = serde_json::from_str(&environment).unwrap();
    for expected in [
        "DB_URL=postgres://$HOME:'s3cr3t'@db",
        "SIZE=7",
        "SAMPLE_VERSION=s3cr3t-$x",
        "API_KEY=s3cr3t \"quoted\"",
        "PORTS=[1, 2]",
    ] {
        assert!(
            environment.iter().any(|one| one == expected),
            "{expected}: {environment:?}"
        );
    }
    let reports = order.bucket.versions(STATUS);
    let reports: String = reports.iter().map(crate::bucket::Version::text).collect();
    assert!(!(machine.journal() + &reports).contains("s3cr3t"));

    // After a reboot the account is not there any more, and what the app got stays.
    machine.reboot();
    order.wait_for_again(BootPhase::Ready, 2, SOON);
}

#[test]
fn a_store_that_may_not_be_read_is_named() {
    let mut order = Order::new();
    order.settings.env_from = vec!["ssm:/shop".into()];
    let machine = Machine::launch(Image::Prepared, &order.user_data());
    // Whoever runs this may be on such a machine, and is not asked.
    machine.run("iptables --insert OUTPUT --destination 169.254.169.254 --jump REJECT");
    order.upload_image();
    let (_, report) = order.wait_for(BootPhase::Failed, SOON);
    let tail = report["tail"].as_str().unwrap();
    assert!(
        tail.starts_with("This instance has no profile, and `env_from` is read with its rights."),
        "{tail}"
    );
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
    order.settings.image = Some(order.bucket.object("image", &image).into());
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
        .map(|(path, bytes)| (path.to_owned(), order.bucket.once(path, bytes)))
        .into();
    order.settings.app.protocol = Protocol::Https;
    order.settings.app.health_check_path = "/-/ready".into();
    order.settings.app.warm_up.paths = vec!["/-/healthy".into(), "/metrics?a=[1]".into()];
    order.settings.app.warm_up.host = Some("emr.example.com".into());
    let machine = Machine::launch(Image::Prepared, &order.user_data());
    order.wait_for(BootPhase::Ready, SOON);
    machine.run("curl --fail --silent --insecure https://127.0.0.1:8080/-/ready");
}
