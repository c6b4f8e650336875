//! An instance: a container of Debian 13 in which the real cloud-init runs the instance's own user data.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The images that `cargo xtask rig` makes.
#[derive(Clone, Copy)]
pub(crate) enum Image {
    /// As the distribution gives it; packages are installed at boot.
    Fresh,
    /// With the packages already there, for tests of what comes after them.
    Prepared,
    /// Ubuntu 24.04 as the distribution gives it, where a mirror of it was named.
    Ubuntu,
}

impl Image {
    const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "arya-rig/instance:13",
            Self::Prepared => "arya-rig/prepared:13",
            Self::Ubuntu => "arya-rig/instance:24.04",
        }
    }

    pub(crate) fn is_there(self) -> bool {
        try_docker(&["image", "inspect", self.name()]).status.success()
    }
}

/// Removed when dropped, also by a test that failed.
pub(crate) struct Machine {
    name: String,
    id: String,
    pub(crate) started: Instant,
    _seed: TempDir,
}

/// What a container needs to be a machine, as measured: systemd on the first cgroup hierarchy, Docker inside.
const AS_A_MACHINE: [&str; 24] = [
    "--detach",
    "--cap-add",
    "ALL",
    // A machine that is itself confined cannot give what it does not have.
    "--cap-drop",
    "SYS_RESOURCE",
    "--security-opt",
    "seccomp=unconfined",
    "--security-opt",
    "apparmor=unconfined",
    // Without it nested containers cannot be started: /proc/sys is read-only.
    "--security-opt",
    "systempaths=unconfined",
    "--cgroupns",
    "host",
    "--volume",
    "/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--tmpfs",
    "/run",
    "--tmpfs",
    "/run/lock",
    "--env",
    "container=docker",
    "--env",
    "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
    "--label=arya-rig",
];

impl Machine {
    pub(crate) fn launch(image: Image, user_data: &[u8]) -> Self {
        Self::launch_with(image, user_data, &[])
    }

    pub(crate) fn launch_with(image: Image, user_data: &[u8], more: &[&str]) -> Self {
        Self::launch_as(None, image, user_data, more)
    }

    /// With the id that a cloud gave it.
    pub(crate) fn launch_as(id: Option<&str>, image: Image, user_data: &[u8], more: &[&str]) -> Self {
        let seed = tempfile::tempdir().unwrap();
        let name = format!(
            "arya-rig-{}",
            seed.path()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .trim_start_matches('.')
        );
        std::fs::write(seed.path().join("user-data"), user_data).unwrap();
        let id = id.map_or_else(|| format!("i-{name}"), str::to_owned);
        std::fs::write(seed.path().join("meta-data"), format!("instance-id: {id}\n")).unwrap();
        let volume = format!("{}:/var/lib/cloud/seed/nocloud:ro", seed.path().display());
        let started = Instant::now();
        let mut run = vec!["run", "--name", &name, "--volume", &volume];
        run.extend(AS_A_MACHINE);
        run.extend(more);
        run.push(image.name());
        let machine = Self {
            name: name.clone(),
            id,
            started,
            _seed: seed,
        };
        docker(&run);
        machine
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn address(&self) -> IpAddr {
        let format = "{{.NetworkSettings.IPAddress}}";
        let address = docker(&["inspect", "--format", format, &self.name]);
        address.trim().parse().unwrap()
    }

    /// A command on the machine; its standard output.
    pub(crate) fn run(&self, command: &str) -> String {
        docker(&["exec", &self.name, "bash", "-c", command])
    }

    pub(crate) fn try_run(&self, command: &str) -> Output {
        try_docker(&["exec", &self.name, "bash", "-c", command])
    }

    /// Writes a file.
    pub(crate) fn put(&self, path: &str, text: &str) {
        let mut writing = Command::new("docker")
            .args(["exec", "--interactive", &self.name, "tee", path])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        writing.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(writing.wait().unwrap().success());
    }

    /// What a person would see on the serial console, and what the boot wrote down.
    pub(crate) fn journal(&self) -> String {
        let said = self.try_run("journalctl --no-pager --output=cat; cat /var/lib/arya/boot.log");
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// Power off and on, as `RebootInstances` does.
    pub(crate) fn reboot(&self) {
        docker(&["restart", "--time", "20", &self.name]);
    }

    /// Power off as `TerminateInstances` does: the system is told, and has a while for its last words.
    pub(crate) fn shut_down(&self) {
        docker(&["stop", "--time", "20", &self.name]);
    }

    /// Whether it shut itself down within `limit`.
    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        let limit = limit.as_secs().to_string();
        let waited = Command::new("timeout")
            .args([&limit, "docker", "wait", &self.name])
            .output();
        waited.unwrap().status.success()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.name, self.journal());
        }
        try_docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

/// Where the checkout lies, for the tests of whichever package this is read by.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut above = package.ancestors();
    above
        .find(|folder| folder.join("provisioning").is_dir())
        .unwrap()
        .to_owned()
}

/// The name that the monitor's compose file asks for, without a digest: what is loaded from an archive has none.
pub(crate) fn prometheus_name() -> String {
    let images = std::fs::read_to_string(root().join("provisioning/monitor/images.env")).unwrap();
    let name = images.lines().find_map(|line| line.strip_prefix("PROMETHEUS_IMAGE="));
    let name = name.unwrap();
    name.split_once('@').map_or(name, |(tagged, _)| tagged).to_owned()
}

/// Debian's Prometheus as an archive, under that name.
pub(crate) fn prometheus_image() -> Vec<u8> {
    let saved = try_docker(&["save", &prometheus_name()]);
    assert!(saved.status.success(), "{saved:?}");
    saved.stdout
}

/// The address of this machine that instances reach.
pub(crate) fn bridge() -> IpAddr {
    // Docker's own inspection names a gateway only where somebody chose one.
    let output = Command::new("ip")
        .args(["-4", "-oneline", "address", "show", "docker0"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let network = said.split_whitespace().find(|word| word.contains('/')).unwrap();
    network.split('/').next().unwrap().parse().unwrap()
}

pub(crate) fn try_docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().unwrap()
}

pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = try_docker(arguments);
    assert!(output.status.success(), "docker {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
