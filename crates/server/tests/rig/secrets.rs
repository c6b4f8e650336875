//! What nobody may read who is not told: every secret that a deployment makes or is given, looked for everywhere where people
//! and other programs read.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use arya_aws::DoorKey;
use sha2::{Digest as _, Sha256};

use crate::served::Server;
use crate::world::{SDK_SECRET, World};

/// In the canary's env file.
pub(crate) const ENV_SECRET: &str = "rig-env-s3cr3t-of-the-app";

/// Files of the data directory that hold a secret for the user who runs the server, and for nobody else.
const THE_USERS: [&str; 3] = ["api-token", "door-key", "connection.json"];

/// Secrets by their names.
pub(crate) struct Secrets {
    /// Nothing needs them but the server, and of the last one the app.
    kept: BTreeMap<String, String>,
    /// By which an instance reaches its own objects; they stand in what it alone is told.
    signatures: BTreeSet<String>,
}

impl Secrets {
    /// While the deployment stands.
    pub(crate) async fn of(world: &World, server: &Server, id: &str) -> Self {
        let door_key = std::fs::read_to_string(world.home.data.join("door-key")).unwrap();
        let door = DoorKey::new(Sha256::digest(door_key.trim()).into()).door(&id.parse().unwrap());
        let kept = [
            ("the key of all monitors' passwords", door_key.trim().to_owned()),
            ("the monitor's password", door.password.clone()),
            (
                "the header that opens the monitor",
                door.authorization().replace("Basic ", ""),
            ),
            ("the API token", server.token().to_owned()),
            ("the SDK's secret key", SDK_SECRET.to_owned()),
            ("the env file's value", ENV_SECRET.to_owned()),
        ];
        let mut signatures = BTreeSet::new();
        for ours in world.fleet.ours() {
            let settings = ours.machine.run("cat /var/lib/arya/settings");
            let urls = ours.machine.run("cat /var/lib/arya/urls");
            for text in [&ours.user_data, &settings, &urls] {
                let found = signatures_in(text);
                assert!(!found.is_empty(), "nothing is signed in {text}");
                signatures.extend(found);
            }
        }
        assert!(signatures.len() > 18, "{signatures:?}");
        Self {
            kept: kept.map(|(name, value)| (name.to_owned(), value)).into(),
            signatures,
        }
    }

    /// In what an instance is told, its own signatures stand and nothing else.
    #[track_caller]
    pub(crate) fn none_but_signatures_in(&self, place: &str, text: &str) {
        for (name, secret) in &self.kept {
            assert!(!text.contains(secret), "{name} stands in {place}");
        }
    }

    #[track_caller]
    pub(crate) fn none_in(&self, place: &str, text: &str) {
        self.none_but_signatures_in(place, text);
        for signature in &self.signatures {
            assert!(
                !text.contains(signature),
                "the signature of a URL stands in {place}: {:?}",
                text.lines().find(|line| line.contains(signature))
            );
        }
    }

    /// Everything of a deployment that serves.
    pub(crate) async fn are_told_to_nobody(&self, world: &World, server: &Server, id: &str) {
        for ours in world.fleet.ours() {
            let of = |what: &str| format!("{what} of the {}", ours.role);
            self.none_but_signatures_in(&of("user data"), &ours.user_data);
            self.none_in(&of("the console"), &ours.machine.journal());
            let logs = ours
                .machine
                .run("docker ps --all --quiet | xargs -r -n 1 docker logs 2>&1");
            self.none_in(&of("container logs"), &logs);
            let told = ours
                .machine
                .run("cat /run/arya/status.json /run/arya/timeline; cat /run/arya/logs || true");
            self.none_in(&of("reports"), &told);
            // Any process of the machine may read these of any other.
            self.none_in(
                &of("command lines"),
                &ours.machine.run("cat /proc/*/cmdline | tr '\\0' ' '"),
            );
        }
        self.none_in(
            "tags and everything else that AWS lists",
            &format!("{:?}", world.account.admin.dump().await),
        );
        self.none_in("the tags", &tags(world).await);
        self.stay_with_the_server(world, server, id).await;
    }

    /// What outlives the deployment too.
    pub(crate) async fn stay_with_the_server(&self, world: &World, server: &Server, id: &str) {
        for path in ["", "/events", "/verdict", "/report"] {
            let (status, answer) = server.get(&format!("/api/v1/deployments/{id}{path}")).await;
            assert_eq!(status, 200, "{path}: {answer}");
            self.none_in(&format!("the API's {path}"), &answer.to_string());
        }
        let (status, page) = server.get(&format!("/deployments/{id}")).await;
        assert_eq!(status, 200, "{page}");
        self.none_in("the page", page.as_str().unwrap());
        let log = world.home.log.as_ref().unwrap();
        self.none_in("the server's log", &lossy(log));
        for (id, said) in world.fleet.last_words() {
            self.none_in(&format!("the last words of {id}"), &said);
        }
        let files = std::fs::read_dir(&world.home.data).unwrap();
        let files = files.map(|file| file.unwrap().path()).filter(|path| path.is_file());
        let of_the_user_alone = |path: &std::path::PathBuf| THE_USERS.iter().any(|name| path.ends_with(name));
        let (private, databases): (Vec<_>, Vec<_>) = files.partition(of_the_user_alone);
        for file in private {
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "others may read {}", file.display());
        }
        assert!(!databases.is_empty());
        for database in databases {
            self.none_in(&database.display().to_string(), &lossy(&database));
        }
    }
}

fn lossy(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

fn signatures_in(text: &str) -> Vec<String> {
    let after = text.split("X-Amz-Signature=").skip(1);
    let signature = |rest: &str| -> String { rest.chars().take_while(char::is_ascii_hexdigit).collect() };
    after.map(signature).filter(|one| one.len() == 64).collect()
}

/// Of everything that can have any.
async fn tags(world: &World) -> String {
    let tags = world.account.admin.ec2.describe_tags().send().await.unwrap();
    assert!(!tags.tags().is_empty());
    format!("{:?}", tags.tags())
}
