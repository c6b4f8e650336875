//! The same script with something going wrong: each ends in a report that a person understands.

use std::time::Duration;

use arya_plan::observed::BootPhase;
use arya_plan::spec::Digest;

use crate::bucket::Version;
use crate::deployed::{Order, STATUS, compose_file};
use crate::machine::{Image, Machine};

/// For a machine whose packages are there, with both cores taken by others.
const SOON: Duration = Duration::from_secs(90);

/// Launches, and waits for the failure whose first sentence begins so.
#[track_caller]
fn fails_with(order: &Order, expected: &str) -> String {
    let _machine = Machine::launch(Image::Prepared, &order.user_data());
    tail_of_failure(order, expected)
}

#[track_caller]
fn tail_of_failure(order: &Order, expected: &str) -> String {
    let (_, report) = order.wait_for(BootPhase::Failed, SOON);
    let tail = report["tail"].as_str().unwrap();
    assert!(tail.starts_with(expected), "{tail}");
    assert!(tail.len() <= 2048, "{} bytes", tail.len());
    tail.to_owned()
}

#[test]
fn story_a_truncated_archive_is_not_loaded() {
    let order = Order::new();
    order.bucket.store("image", &order.image[..order.image.len() / 2]);
    let digest = Digest::of(&order.image);
    fails_with(
        &order,
        &format!(
            "The image archive came 3 times with another digest than the one that was uploaded, {digest}; nothing of it"
        ),
    );
    assert!(!order.phases().contains(&BootPhase::Fetched));
}

#[test]
fn story_an_app_that_is_never_healthy_is_told_with_its_log() {
    let mut order = Order::new();
    order.settings.app.health_check_path = "/no/such/path".into();
    order.upload_image();
    fails_with(
        &order,
        "The health path /no/such/path did not answer 200 within 20 s; last it answered 404.",
    );
}

#[test]
fn fault_a_compose_file_that_docker_refuses() {
    let mut order = Order::new();
    order.compose(&compose_file().replace("restart: unless-stopped", "restart: 7.5"));
    order.upload_image();
    let tail = fails_with(&order, "Docker Compose could not start the services.");
    assert!(tail.contains("restart"), "{tail}");
}

#[test]
fn fault_an_app_that_ends_at_once_is_not_waited_for() {
    let mut order = Order::new();
    order.compose(&compose_file().replace("restart: unless-stopped", "environment: {PORT: none}"));
    order.upload_image();
    let tail = fails_with(&order, "The app ended before its health path /health answered.");
    assert!(tail.contains("PORT"), "the app's own last words: {tail}");
}

#[test]
fn fault_an_expired_url_says_so() {
    let mut order = Order::new();
    let url = order.bucket.sign_for("GET", "image", Duration::ZERO);
    order.settings.image.as_mut().unwrap().pieces[0].url = url;
    fails_with(&order, "The URL of the image archive expired before it was fetched.");
}

#[test]
fn fault_an_archive_that_never_comes_is_given_up() {
    let order = Order::new();
    fails_with(
        &order,
        "The image archive did not come out of the bucket within 40 s; the last answer was 404.",
    );
}

#[test]
fn fault_a_full_disk_is_named() {
    let order = Order::new();
    order.upload_image();
    let small = ["--tmpfs", "/var/lib/arya:size=4m,exec"];
    let _machine = Machine::launch_with(Image::Prepared, &order.user_data(), &small);
    let expected = "The disk took no more of the image archive. The disk is full: /var/lib/arya has ";
    tail_of_failure(&order, expected);
}

#[test]
fn fault_a_disk_that_an_image_fills_is_named() {
    let order = Order::new();
    order.upload_image();
    let small = ["--tmpfs", "/var/lib/docker:size=16m,exec"];
    let _machine = Machine::launch_with(Image::Prepared, &order.user_data(), &small);
    let expected =
        "Docker could not load the image archive, although it is the one that was uploaded. The disk is full: ";
    let tail = tail_of_failure(&order, expected);
    assert!(tail.contains("no space left on device"), "Docker's own words: {tail}");
}

#[test]
fn fault_a_machine_past_its_end_shuts_down() {
    let mut order = Order::new();
    order.ends_in = Duration::from_secs(20);
    // What the machine is told is a whole second.
    let earliest = jiff::Timestamp::now().as_second() + 20;
    // Still waiting for its archive when the end comes: nothing else has to work for it.
    let machine = Machine::launch(Image::Prepared, &order.user_data());
    order.wait_for(BootPhase::DockerReady, SOON);
    assert!(machine.ends_within(SOON), "it still runs");
    let ended = jiff::Timestamp::now().as_second();
    assert!(ended >= earliest, "it ended {} s too early", earliest - ended);
}

#[test]
fn fault_a_reboot_in_any_phase_does_no_harm() {
    let mut order = Order::new();
    // Long enough for a reboot before it is up.
    let late = "environment: {SAMPLE_STARTUP_MS: 4000}\n    restart: unless-stopped";
    order.compose(&compose_file().replace("restart: unless-stopped", late));
    let machine = Machine::launch(Image::Fresh, &order.user_data());
    // In the middle of packages: some are unpacked, none is configured.
    machine.run(
        "timeout 120 bash -c 'until grep --quiet --no-messages ^Unpacking /var/lib/arya/boot.log; do sleep 0.1; done'",
    );
    machine.reboot();
    order.wait_for(BootPhase::DockerReady, Duration::from_secs(180));
    machine.reboot();
    order.wait_for_again(BootPhase::DockerReady, 2, SOON);
    order.upload_image();
    for phase in [BootPhase::Fetched, BootPhase::Loaded, BootPhase::Up] {
        order.wait_for(phase, SOON);
        machine.reboot();
    }
    order.wait_for(BootPhase::Ready, SOON);
    machine.run("curl --fail --silent http://127.0.0.1:8080/health");
    let boots = order
        .phases()
        .iter()
        .filter(|phase| **phase == BootPhase::Booting)
        .count();
    assert_eq!(boots, 6, "{:?}", order.phases());

    // Once more when all is there: nothing is fetched again.
    let times = order
        .phases()
        .iter()
        .filter(|phase| **phase == BootPhase::Ready)
        .count();
    order.bucket.store("image", "gone");
    order.bucket.store("compose", "gone");
    machine.reboot();
    order.wait_for_again(BootPhase::Ready, times + 1, SOON);
    machine.run("curl --fail --silent http://127.0.0.1:8080/health");
}

#[test]
fn fault_an_image_that_the_archive_has_not_is_named() {
    let mut order = Order::new();
    order.compose(&compose_file().replace("charthealth/records:1.0", "registry.invalid/records:2.0"));
    order.upload_image();
    fails_with(
        &order,
        "Docker Compose could not start the services. Not there, neither from the archive nor from a registry: \
         `registry.invalid/records:2.0`.",
    );
}

#[test]
fn fault_an_app_that_dies_later_leaves_its_last_words() {
    let mut order = Order::new();
    order.compose(&compose_file().replace("restart: unless-stopped", "restart: \"no\""));
    order.upload_image();
    let machine = Machine::launch(Image::Prepared, &order.user_data());
    order.wait_for(BootPhase::Ready, SOON);
    machine.run("docker kill app-web-1");
    let told = order.bucket.wait_for(STATUS, SOON, |versions| {
        versions
            .iter()
            .map(Version::text)
            .find(|text| text.contains("The app ended by itself."))
    });
    assert!(told.is_some(), "{:?}", order.reports());
}

#[test]
fn fault_a_mirror_that_is_down_for_a_while_is_waited_for() {
    let order = Order::new();
    order.upload_image();
    let machine = Machine::launch(Image::Fresh, &order.user_data());
    // Before systemd has come to the boot; the bucket has another port.
    machine.run("iptables --insert OUTPUT --protocol tcp --dport 80 --jump REJECT");
    order.wait_for(BootPhase::Booting, SOON);
    machine.run("timeout 60 bash -c 'until grep --quiet \"Could not connect\\|Failed to fetch\" /var/lib/arya/boot.log; do sleep 1; done'");
    assert_eq!(order.phases(), [BootPhase::Booting]);
    machine.run("iptables --delete OUTPUT 1");
    order.wait_for(BootPhase::Ready, Duration::from_secs(180));
}

/// What a system calls itself, as a volume for a machine.
fn called(folder: &std::path::Path, id: &str, version: &str, name: &str) -> String {
    let file = folder.join("os-release");
    let text = format!("PRETTY_NAME=\"{name}\"\nID={id}\nVERSION_ID=\"{version}\"\n");
    std::fs::write(&file, text).unwrap();
    format!("{}:/usr/lib/os-release:ro", file.display())
}

#[test]
fn fault_another_system_is_refused_with_a_sentence() {
    let (order, folder) = (Order::new(), tempfile::tempdir().unwrap());
    order.upload_image();
    let release = called(folder.path(), "ubuntu", "22.04", "Ubuntu 22.04.5 LTS");
    let _machine = Machine::launch_with(Image::Prepared, &order.user_data(), &["--volume", &release]);
    let expected =
        "This system is \"Ubuntu 22.04.5 LTS\", and instances are set up on Debian 13 and Ubuntu 24.04 only.";
    tail_of_failure(&order, expected);
}

#[test]
fn each_system_gets_the_packages_that_it_calls_so() {
    let (order, folder) = (Order::new(), tempfile::tempdir().unwrap());
    let asked = |id: &str, version: &str| {
        let release = called(folder.path(), id, version, id);
        let machine = Machine::launch_with(Image::Prepared, &order.user_data(), &["--volume", &release]);
        machine.put("/run/boot.sh", include_str!("../../provisioning/boot.sh"));
        let said = machine.try_run("bash /run/boot.sh packages");
        (said.status.success(), String::from_utf8(said.stdout).unwrap())
    };
    let (known, packages) = asked("debian", "13");
    assert!(known && packages.contains(" docker-cli docker-compose "), "{packages}");
    let (known, packages) = asked("ubuntu", "24.04");
    assert!(known && packages.contains("docker.io docker-compose-v2 "), "{packages}");
    assert_eq!(asked("debian", "12"), (false, String::new()));
}
