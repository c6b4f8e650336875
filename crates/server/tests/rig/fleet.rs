//! Every instance that the account records as a machine: production's as containers of the sample service, the
//! deployment's as whole systems that boot with their own user data.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_ec2::types::{Instance, InstanceAttributeName, InstanceStateName};

use crate::account::Admin;
use crate::common::told;
use crate::machine::{Image, Machine, docker, prometheus_name, try_docker};
use crate::{network, sample};

/// What production runs.
pub(crate) const PRODUCTION: &str = "1.0";

#[derive(Clone)]
pub(crate) struct Fleet(Arc<Inner>);

struct Inner {
    admin: Admin,
    /// Docker's own store in place of a registry, for the monitor alone.
    side_load: [String; 4],
    standing: Mutex<BTreeMap<String, Standing>>,
    /// What instances that ended had said, by their id.
    last_words: Mutex<BTreeMap<String, String>>,
    /// What the next machine of a role meets.
    circumstances: Mutex<BTreeMap<&'static str, Circumstance>>,
}

/// What goes wrong around a machine.
#[derive(Default)]
pub(crate) struct Circumstance {
    /// `None` = with its packages.
    pub(crate) image: Option<Image>,
    /// More of `docker run`.
    pub(crate) more: &'static [&'static str],
    /// Its user data, changed.
    pub(crate) told: Option<fn(&str) -> String>,
    /// A command of root's as soon as it runs, before systemd has come to the boot.
    pub(crate) at_once: Option<String>,
}

enum Standing {
    /// Docker is asked to start or to stop it.
    Moving,
    Production {
        _until: Container,
    },
    Ours(Arc<Ours>),
}

/// An instance of the deployment.
pub(crate) struct Ours {
    pub(crate) role: String,
    /// As its script reads it.
    pub(crate) user_data: String,
    pub(crate) machine: Machine,
}

struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        try_docker(&["rm", "--force", "--volumes", &self.0]);
    }
}

impl Fleet {
    pub(crate) fn new(admin: Admin, folder: &Path) -> Self {
        let archive = folder.join("production.tar");
        std::fs::write(&archive, sample::image(PRODUCTION, &QUIET)).unwrap();
        docker(&["load", "--input", archive.to_str().unwrap()]);
        Self(Arc::new(Inner {
            admin,
            side_load: side_load(folder),
            standing: Mutex::default(),
            last_words: Mutex::default(),
            circumstances: Mutex::default(),
        }))
    }

    /// For the next machine of a role, which is not launched yet.
    pub(crate) fn meets(&self, role: &'static str, circumstance: Circumstance) {
        let before = self.0.circumstances.lock().unwrap().insert(role, circumstance);
        assert!(before.is_none(), "the {role} was not launched yet");
    }

    fn standing(&self) -> MutexGuard<'_, BTreeMap<String, Standing>> {
        self.0.standing.lock().unwrap()
    }

    /// The address of every instance that runs, by its id; those that ended have none.
    pub(crate) async fn listed(&self) -> BTreeMap<String, Option<IpAddr>> {
        let listed = self.0.admin.ec2.describe_instances().send().await.unwrap();
        let instances = listed
            .reservations
            .unwrap_or_default()
            .into_iter()
            .flat_map(|one| one.instances.unwrap_or_default());
        let running =
            |instance: &Instance| instance.state().and_then(|state| state.name()) == Some(&InstanceStateName::Running);
        let pair = |instance: Instance| {
            let address = instance.private_ip_address().and_then(|address| address.parse().ok());
            let address = address.filter(|_| running(&instance));
            (instance.instance_id.unwrap_or_default(), address)
        };
        instances.map(pair).collect()
    }

    /// Starts what is listed and does not stand yet, ends what stands and has ended; both take their time elsewhere.
    pub(crate) async fn follow(&self, listed: &BTreeMap<String, Option<IpAddr>>) {
        for (id, address) in listed {
            let stands = self.standing().contains_key(id);
            match address {
                Some(address) if !stands => {
                    let user_data = self.user_data(id).await;
                    self.standing().insert(id.clone(), Standing::Moving);
                    let (fleet, id, address) = (self.clone(), id.clone(), *address);
                    tokio::task::spawn_blocking(move || fleet.launch(id, address, user_data));
                }
                None if stands => self.end(id),
                Some(_) | None => {}
            }
        }
    }

    /// As EC2 keeps it; production's instances have none.
    async fn user_data(&self, id: &str) -> Option<String> {
        let request = self.0.admin.ec2.describe_instance_attribute().instance_id(id);
        let answer = request.attribute(InstanceAttributeName::UserData).send().await.unwrap();
        answer.user_data?.value
    }

    fn launch(&self, id: String, address: IpAddr, user_data: Option<String>) {
        let address = address.to_string();
        let at = ["--network", network::NAME, "--ip", &address];
        let standing = match user_data {
            None => {
                let name = format!("arya-rig-{id}");
                let mut run = vec!["run", "--detach", "--label=arya-rig", "--name", &name];
                run.extend(at);
                let image = sample::reference(PRODUCTION);
                run.push(&image);
                docker(&run);
                Standing::Production {
                    _until: Container(name),
                }
            }
            Some(encoded) => {
                let bytes = aws_smithy_types::base64::decode(&encoded).unwrap();
                let text = told::unpacked(&encoded);
                let role = told::value(&text, "ROLE").to_owned();
                let mut more = at.to_vec();
                if role == "monitor" {
                    more.extend(self.0.side_load.iter().flat_map(|volume| ["--volume", volume]));
                }
                let met = self
                    .0
                    .circumstances
                    .lock()
                    .unwrap()
                    .remove(role.as_str())
                    .unwrap_or_default();
                more.extend(met.more);
                let image = met.image.unwrap_or(Image::Prepared);
                let bytes = met.told.map_or(bytes, |told| told(&text).into_bytes());
                let machine = Machine::launch_as(Some(&id), image, &bytes, &more);
                if let Some(command) = met.at_once {
                    machine.run(&command);
                }
                Standing::Ours(Arc::new(Ours {
                    role,
                    user_data: text,
                    machine,
                }))
            }
        };
        self.standing().insert(id, standing);
    }

    fn end(&self, id: &str) {
        let mut standing = self.standing();
        if matches!(standing.get(id), Some(Standing::Moving)) {
            return;
        }
        let ended = standing.insert(id.to_owned(), Standing::Moving);
        drop(standing);
        let (fleet, id) = (self.clone(), id.to_owned());
        tokio::task::spawn_blocking(move || {
            if let Some(Standing::Ours(ours)) = &ended {
                let said = ours.machine.journal();
                fleet.0.last_words.lock().unwrap().insert(id.clone(), said);
                ours.machine.shut_down();
            }
            drop(ended);
            fleet.standing().remove(&id);
        });
    }

    /// The deployment's instances that stand now.
    pub(crate) fn ours(&self) -> Vec<Arc<Ours>> {
        let standing = self.standing();
        let ours = standing.values().filter_map(|one| match one {
            Standing::Ours(ours) => Some(Arc::clone(ours)),
            Standing::Moving | Standing::Production { .. } => None,
        });
        ours.collect()
    }

    /// A machine that powered itself off is to EC2 what its instance was launched with.
    pub(crate) async fn powered_off(&self, ours: &Ours) {
        let id = ours.machine.id();
        let request = self.0.admin.ec2.describe_instance_attribute().instance_id(id);
        let asked = request.attribute(InstanceAttributeName::InstanceInitiatedShutdownBehavior);
        let answer = asked.send().await.unwrap();
        let behaviour = answer.instance_initiated_shutdown_behavior.and_then(|said| said.value);
        assert_eq!(
            behaviour.as_deref(),
            Some("terminate"),
            "{id} would be stopped and cost on"
        );
        self.0
            .admin
            .ec2
            .terminate_instances()
            .instance_ids(id)
            .send()
            .await
            .unwrap();
    }

    /// The only one of a role.
    pub(crate) fn of_role(&self, role: &str) -> Arc<Ours> {
        let mut found = self.ours().into_iter().filter(|one| one.role == role);
        let one = found.next().unwrap_or_else(|| panic!("no {role} stands"));
        assert!(found.next().is_none(), "two of {role} stand");
        one
    }

    /// What the machines of those that ended had written down.
    pub(crate) fn last_words(&self) -> BTreeMap<String, String> {
        self.0.last_words.lock().unwrap().clone()
    }

    /// What a person would look at when something went wrong.
    pub(crate) fn journals(&self) -> String {
        let said = self.ours().into_iter();
        said.map(|one| format!("--- {} {}\n{}\n", one.role, one.machine.id(), one.machine.journal()))
            .collect()
    }
}

/// A release that never fails by chance, so that each failure was somebody's.
pub(crate) const QUIET: [&str; 1] = ["SAMPLE_BASE_ERROR_SHARE=0"];

/// Debian's Prometheus under the compose file's name, loaded whenever the machine's Docker starts. What is loaded has a tag
/// only, so the tag alone is asked for: compose takes its environment before the file that has the registry's digest.
fn side_load(folder: &Path) -> [String; 4] {
    let (archive, unit): (PathBuf, PathBuf) = (folder.join("side-load.tar"), folder.join("side-load.conf"));
    docker(&["save", "--output", archive.to_str().unwrap(), &prometheus_name()]);
    std::fs::write(
        &unit,
        "[Service]\nExecStartPost=/usr/bin/docker load --input /opt/side-load.tar\n",
    )
    .unwrap();
    let tagged = folder.join("tagged.conf");
    let variable = format!("[Service]\nEnvironment=PROMETHEUS_IMAGE={}\n", prometheus_name());
    std::fs::write(&tagged, variable).unwrap();
    let told = |unit: &str| format!("{}:/etc/systemd/system/{unit}.d/tagged.conf:ro", tagged.display());
    [
        format!("{}:/opt/side-load.tar:ro", archive.display()),
        told("arya-boot.service"),
        told("arya-watch.service"),
        format!(
            "{}:/etc/systemd/system/docker.service.d/side-load.conf:ro",
            unit.display()
        ),
    ]
}
