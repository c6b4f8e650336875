//! What a person sees of an instance that something befalls, and that nothing of it stays. Two things befall each deployment,
//! one for each arm.

mod expired;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use serde_json::Value;

use crate::fleet::{Circumstance, Ours};
use crate::machine::Image;
use crate::network::HERE;
use crate::sample;
use crate::served::Server;
use crate::story::{SOON, begun, destroyed, is, shares};
use crate::world::World;

/// Three machines at once on two cores that others use too.
const BOOTED_WITHIN: Duration = Duration::from_secs(180);
/// As on AWS: rules settle, targets drain, listings lag.
const REMOVED_WITHIN: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_truncated_archive_and_a_compose_file_that_docker_refuses_are_explained() {
    let (world, server) = started("emulator").await;
    let mut spec = world.spec(&server, &[]).await;
    let refused = sample::compose_file("1.1").replace("restart: unless-stopped", "restart: 7.5");
    spec["canary"]["compose"] = uploaded(&world, &server, "refused.yaml", &refused).await;
    let piece = own_piece(&world);
    // Until its archive is as it shall be.
    let cut_off = format!("iptables --insert OUTPUT --destination {HERE} --jump REJECT");
    let circumstance = Circumstance {
        at_once: Some(cut_off),
        ..Circumstance::default()
    };
    world.fleet.meets("baseline", circumstance);
    let life = Life::begun(world, server, spec).await;
    let baseline = life.stands("baseline").await;
    life.until("uploaded", |document| document["phase"] != "uploading")
        .await;
    life.truncate(&piece).await;
    baseline.machine.run("iptables --delete OUTPUT 1");
    life.until("failed twice", |document| failed(document) == 2).await;
    life.explains(&[
        "The image archive came 3 times with another digest than the one that was uploaded",
        "nothing of it was started. Upload it again.",
        "Docker Compose could not start the services.",
        // Compose's own word for where it stopped reading.
        "restart",
    ])
    .await;
    life.goes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_an_app_that_is_never_healthy_and_a_full_disk_are_explained() {
    let (world, server) = started("emulator").await;
    let mut spec = world.spec(&server, &[]).await;
    let late = sample::compose_file("1.0").replace(
        "restart: unless-stopped",
        "environment: {SAMPLE_STARTUP_MS: 60000, ARYA_LOG: info}\n    restart: unless-stopped",
    );
    spec["baseline"]["compose"] = uploaded(&world, &server, "late.yaml", &late).await;
    let impatient = Circumstance {
        told: Some(impatient),
        ..Circumstance::default()
    };
    world.fleet.meets("baseline", impatient);
    let small = Circumstance {
        more: &["--tmpfs", "/var/lib/arya:size=4m,exec"],
        ..Circumstance::default()
    };
    world.fleet.meets("canary", small);
    let life = Life::begun(world, server, spec).await;
    life.until("failed twice", |document| failed(document) == 2).await;
    life.explains(&[
        "The health path /health did not answer 200 within 20 s; last it answered 503.",
        // Its own last words, which were its first.
        "the sample service is listening",
        "The disk took no more of the image archive. The disk is full: /var/lib/arya has ",
    ])
    .await;
    life.goes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_an_expired_url_and_an_app_that_ends_are_explained() {
    let (world, server) = started("emulator").await;
    let mut spec = world.spec(&server, &[]).await;
    let once = sample::compose_file("1.1").replace("restart: unless-stopped", "environment: {PORT: none}");
    spec["canary"]["compose"] = uploaded(&world, &server, "once.yaml", &once).await;
    let bucket: SocketAddr = world.moto.endpoint().trim_start_matches("http://").parse().unwrap();
    let gate = expired::gate(bucket, format!("/{}", own_piece(&world)));
    let redirected = format!(
        "iptables --table nat --insert OUTPUT --protocol tcp --destination {HERE} --dport {} --jump DNAT --to {gate}",
        bucket.port()
    );
    let late = Circumstance {
        at_once: Some(redirected),
        ..Circumstance::default()
    };
    world.fleet.meets("baseline", late);
    let life = Life::begun(world, server, spec).await;
    life.until("failed twice", |document| failed(document) == 2).await;
    life.explains(&[
        "The URL of the image archive expired before it was fetched.",
        "The app ended before its health path /health answered.",
        "PORT=none cannot be used.",
    ])
    .await;
    assert!(shares(&life.world).is_empty(), "nobody was ever sent there");
    life.goes().await;
}

/// With AWS's own patience: what is waited for takes longer than the emulator's.
#[tokio::test(flavor = "multi_thread")]
async fn fault_a_reboot_a_mirror_that_is_down_an_app_that_dies_and_the_end_are_explained() {
    let (world, server) = started("aws").await;
    let mut spec = world.spec(&server, &[]).await;
    let mortal = sample::compose_file("1.1").replace("restart: unless-stopped", "environment: {ARYA_LOG: info}");
    spec["canary"]["compose"] = uploaded(&world, &server, "mortal.yaml", &mortal).await;
    let cut_off = Circumstance {
        // A reboot mends it.
        at_once: Some(format!("iptables --insert OUTPUT --destination {HERE} --jump REJECT")),
        ..Circumstance::default()
    };
    world.fleet.meets("baseline", cut_off);
    let no_mirror = Circumstance {
        image: Some(Image::Fresh),
        at_once: Some("iptables --insert OUTPUT --protocol tcp --dport 80 --jump REJECT".into()),
        ..Circumstance::default()
    };
    world.fleet.meets("canary", no_mirror);
    let life = Life::begun(world, server, spec).await;

    let baseline = life.stands("baseline").await;
    baseline.sees("docker_ready", "/run/arya/timeline");
    baseline.machine.reboot();
    let canary = life.stands("canary").await;
    canary.sees("Could not connect\\|Failed to fetch", "/var/lib/arya/boot.log");
    let waits = |document: &Value| instance(document, "canary")["report"]["phase"] == "booting";
    life.until("waiting for the mirror", waits).await;
    life.explains(&["booting"]).await;
    canary.machine.run("iptables --delete OUTPUT 1");
    life.until("serving", is("serving")).await;
    life.explains(&["Users reach baseline and canary now."]).await;

    canary.machine.run("docker kill app-web-1");
    let told = |document: &Value| {
        let tail = instance(document, "canary")["report"]["tail"].as_str();
        tail.is_some_and(|tail| tail.starts_with("The app ended by itself."))
    };
    life.until("told of its end", told).await;
    life.explains(&["The app ended by itself.", "the sample service is listening"])
        .await;

    // Its timer is set to now; all else of it is as it was installed.
    baseline.machine.run(
        "sed -i \"s/^OnCalendar=.*/OnCalendar=$(date -u -d '+2 seconds' '+%Y-%m-%d %H:%M:%S UTC')/\" \
         /etc/systemd/system/arya-end.timer; systemctl daemon-reload; systemctl restart arya-end.timer",
    );
    assert!(baseline.machine.ends_within(SOON), "it outlives its end");
    life.world.fleet.powered_off(&baseline).await;
    drop(baseline);
    life.until("held", is("held")).await;
    life.explains(&["baseline instance"]).await;
    let on_production = || shares(&life.world).is_empty();
    life.world
        .until_so("users are on production", SOON, on_production)
        .await;
    drop(canary);
    life.goes().await;
}

/// A deployment that something befalls.
struct Life {
    world: World,
    server: Server,
    id: String,
}

impl Life {
    async fn begun(world: World, server: Server, spec: Value) -> Self {
        let id = begun(&server, spec).await;
        Self { world, server, id }
    }

    async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        let (world, server) = (&self.world, &self.server);
        world.until(server, &self.id, what, BOOTED_WITHIN, wanted).await;
    }

    /// Waits until a machine of a role was launched.
    async fn stands(&self, role: &str) -> Arc<Ours> {
        let launched = || self.world.fleet.ours().iter().any(|one| one.role == role);
        self.world.until_so("a machine was launched", SOON, launched).await;
        self.world.fleet.of_role(role)
    }

    /// What whoever looks at the page reads, by its sentences and by the end of the log.
    async fn explains(&self, said: &[&str]) {
        let (status, page) = self.server.get(&format!("/deployments/{}", self.id)).await;
        assert_eq!(status, 200, "{page}");
        let page = page.as_str().unwrap();
        for said in said {
            assert!(page.contains(said), "the page does not say {said:?}: {page}");
        }
    }

    /// Half of an object is left.
    async fn truncate(&self, key: &str) {
        let s3 = &self.world.account.admin.s3;
        let buckets = s3.list_buckets().send().await.unwrap();
        let bucket = buckets.buckets().first().unwrap().name().unwrap();
        let whole = s3.get_object().bucket(bucket).key(key).send().await.unwrap();
        let bytes = whole.body.collect().await.unwrap().into_bytes();
        let half = ByteStream::from(bytes.slice(..bytes.len() / 2));
        s3.put_object().bucket(bucket).key(key).body(half).send().await.unwrap();
    }

    async fn goes(self) {
        destroyed(&self.world, &self.server, &self.id, REMOVED_WITHIN).await;
    }
}

impl Ours {
    /// Waits until a file of its own has a word.
    fn sees(&self, word: &str, file: &str) {
        let looking = format!("until grep --quiet --no-messages '{word}' {file}; do sleep 0.2; done");
        self.machine.run(&format!("timeout 60 bash -c \"{looking}\""));
    }
}

async fn started(timing: &str) -> (World, Server) {
    let world = World::of_timing(timing).await;
    let server = Server::start(&world.home).await;
    (world, server)
}

async fn uploaded(world: &World, server: &Server, name: &str, text: &str) -> Value {
    let file = world.home.folder.join(name);
    std::fs::write(&file, text).unwrap();
    server.upload(&file).await
}

/// Where a piece of the baseline's image lies that the canary's has not.
fn own_piece(world: &World) -> String {
    let image = std::fs::File::open(world.home.folder.join("1.0.tar")).unwrap();
    let pieces = arya_bundle::Pieces::of(std::io::BufReader::new(image)).unwrap().pieces;
    assert!(pieces.len() > 1, "its layer is a piece of its own: {pieces:?}");
    format!("pieces/{}", pieces[pieces.len() - 1].digest.hex())
}

fn instance<'d>(document: &'d Value, role: &str) -> &'d Value {
    let mut instances = document["instances"].as_array().unwrap().iter();
    instances.find(|one| one["role"] == role).unwrap_or(&Value::Null)
}

/// How many arms say that they failed, in a deployment that did.
fn failed(document: &Value) -> usize {
    let roles = ["baseline", "canary"].into_iter();
    let failed = roles.filter(|role| instance(document, role)["report"]["phase"] == "failed");
    failed.filter(|_| document["phase"] == "failed").count()
}

/// The same script, which waits for an app's health for 20 s instead of ten minutes.
fn impatient(script: &str) -> String {
    let reading = ". \"$STATE/settings\"";
    assert!(script.contains(reading), "{script}");
    let shortened = "sed \"s/^readonly ARYA_UP_WITHIN_S=.*/readonly ARYA_UP_WITHIN_S='20'/\" \"$STATE/settings\"";
    script.replace(reading, &format!(". <({shortened})"))
}
