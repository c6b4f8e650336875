//! `cargo xtask rig`: instances that set themselves up, in containers that are machines. Makes the images that
//! `tests/rig` launches, with a Docker daemon of its own if none answers, and runs the stories.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::aws;
use crate::stages::{binary, build, find_program, root, run};

/// Which stories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stories {
    /// One instance from its first second to ready, and two faults.
    Ci,
    /// Every fault too.
    All,
}

const DEBIAN: &str = "arya-rig/debian:13";
const INSTANCE: &str = "arya-rig/instance:13";
const PREPARED: &str = "arya-rig/prepared:13";
const UBUNTU: &str = "arya-rig/ubuntu:24.04";
const UBUNTU_INSTANCE: &str = "arya-rig/instance:24.04";

/// Names a mirror of Ubuntu: which one may be asked is not ours to know.
const UBUNTU_MIRROR: &str = "ARYA_UBUNTU_MIRROR";
/// What that mirror's lists are signed with; Debian 12 has no package of it.
const UBUNTU_KEYS: [&str; 2] = [
    "pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb",
    "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8",
];

/// What a cloud's image of Debian has and a container's has not.
const OF_A_MACHINE: &str =
    "systemd systemd-sysv dbus cloud-init curl ca-certificates iproute2 udev netbase iptables procps";

const DAEMON_WITHIN: Duration = Duration::from_secs(30);

/// Makes the images and compiles the stories; what is there already is kept.
pub(crate) fn prepare() -> Result<()> {
    with_docker(|docker| {
        run(Command::new("shellcheck").args([
            "provisioning/boot.sh",
            "provisioning/boot/environment.sh",
            "provisioning/boot/app.sh",
            "provisioning/boot/monitor.sh",
            "provisioning/boot/watch.sh",
            "provisioning/monitor/evidence.sh",
            "provisioning/monitor/export.sh",
        ]))?;
        docker.debian()?;
        docker.image(INSTANCE, &machine(DEBIAN, OF_A_MACHINE))?;
        // The script itself says which packages it wants.
        let script = std::fs::File::open(root().join("provisioning/boot.sh"))?;
        let mut asking = docker.command(&["run", "--rm", "--interactive", INSTANCE, "bash", "-s", "packages"]);
        let wanted = output(asking.stdin(script))?;
        docker.image(
            PREPARED,
            &format!("FROM {INSTANCE}\nRUN {}\n", installing(wanted.trim())),
        )?;
        docker.prometheus()?;
        docker.test(&["--no-run"])
    })
}

/// Compiles the stories on an account, and the SDK with them unless the AWS adapter's stage did.
pub(crate) fn compile_on_account() -> Result<()> {
    with_docker(|docker| docker.test_on_account(&["--no-run"]))
}

/// Runs the stories against the images.
pub(crate) fn rig(stories: Stories) -> Result<()> {
    with_docker(|docker| {
        let mut arguments = vec!["--", "--nocapture", "--test-threads=1"];
        match stories {
            Stories::Ci => arguments.push("story"),
            Stories::All => {}
        }
        docker.test(&arguments)?;
        docker.test_on_account(&arguments)
    })
}

/// Both, as a command of its own.
pub(crate) fn whole(stories: Stories) -> Result<()> {
    if cannot().is_none() {
        build()?;
        prepare()?;
        match stories {
            Stories::Ci => {}
            Stories::All => with_docker(|docker| {
                if let Err(why) = docker.ubuntu() {
                    println!("Ubuntu will not be run: {why:#}");
                }
                Ok(())
            })?,
        }
        compile_on_account()?;
    }
    rig(stories)
}

fn with_docker(then: impl FnOnce(&Docker) -> Result<()>) -> Result<()> {
    if let Some(why) = cannot() {
        println!("the rig was not run: {why}");
        return Ok(());
    }
    match Docker::find()? {
        Some(docker) => then(&docker),
        None => {
            println!(
                "the rig was not run: no Docker daemon answers, and none could be started (target/rig/dockerd.log)"
            );
            Ok(())
        }
    }
}

/// Why this machine cannot carry other machines.
fn cannot() -> Option<String> {
    let programs = [
        ("docker", "docker.io"),
        ("dockerd", "docker.io"),
        ("debootstrap", "debootstrap"),
        ("shellcheck", "shellcheck"),
        ("ip", "iproute2"),
        ("setpriv", "util-linux"),
        ("curl", "curl"),
    ];
    let missing = programs.iter().find(|(program, _)| find_program(program).is_none());
    if let Some((program, package)) = missing {
        return Some(format!(
            "the program `{program}` is not there (Debian's package {package})"
        ));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    if user.split_whitespace().nth(1) != Some("0") {
        return Some("it needs root, for debootstrap and for the containers' own Docker".into());
    }
    let unified = PathBuf::from("/sys/fs/cgroup/cgroup.controllers").exists();
    unified.then(|| "its containers were made for the first cgroup hierarchy, and this machine has the second".into())
}

fn installing(packages: &str) -> String {
    format!(
        "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {packages} \
         && apt-get clean"
    )
}

/// A container's image as a machine that boots.
fn machine(of: &str, packages: &str) -> String {
    let installing = installing(packages);
    format!("FROM {of}\nRUN {installing}\nSTOPSIGNAL SIGRTMIN+3\nCMD [\"/lib/systemd/systemd\"]\n")
}

struct Docker {
    /// Where it listens; `None` = as the environment says.
    host: Option<String>,
    daemon: Option<Child>,
}

impl Docker {
    /// The daemon that answers already, or one of our own with its files below `target/`.
    // A command of the terminal may wait for a program that has no way to call back.
    #[allow(clippy::disallowed_methods)]
    fn find() -> Result<Option<Self>> {
        let outside = Self {
            host: None,
            daemon: None,
        };
        if outside.answers() {
            return Ok(Some(outside));
        }
        let folder = root().join("target/rig");
        std::fs::create_dir_all(&folder)?;
        let log = std::fs::File::create(folder.join("dockerd.log"))?;
        let host = format!("unix://{}", folder.join("docker.sock").display());
        end_what_was_left(&folder.join("docker.pid"))?;
        // Ends in its own way also when this process is killed: a daemon that stays keeps its machines and their network.
        let daemon = Command::new("setpriv")
            .args(["--pdeathsig", "TERM"])
            .arg(find_program("dockerd").context("dockerd was found a moment ago")?)
            .args(["--host", &host])
            .arg("--data-root")
            .arg(folder.join("docker"))
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(folder.join("docker.pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("dockerd could not be started")?;
        let own = Self {
            host: Some(host),
            daemon: Some(daemon),
        };
        let deadline = Instant::now() + DAEMON_WITHIN;
        while !own.answers() {
            if Instant::now() > deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        own.remove_machines()?;
        Ok(Some(own))
    }

    /// Those of a run that was broken off; each may have gigabytes.
    fn remove_machines(&self) -> Result<()> {
        let left = output(&mut self.command(&["ps", "--all", "--quiet", "--filter", "label=arya-rig"]))?;
        let left: Vec<&str> = left.split_whitespace().collect();
        if left.is_empty() {
            return Ok(());
        }
        output(self.command(&["rm", "--force", "--volumes"]).args(left)).map(drop)
    }

    fn answers(&self) -> bool {
        let asked = self
            .command(&["info"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        self.tell_where(&mut command);
        // The newer builder is a plugin that Debian does not have.
        command.args(arguments).env("DOCKER_BUILDKIT", "0");
        command
    }

    fn tell_where(&self, command: &mut Command) {
        if let Some(host) = &self.host {
            command.env("DOCKER_HOST", host);
        }
    }

    /// A minimal Debian 13 from the mirror that this machine itself uses.
    fn debian(&self) -> Result<()> {
        self.userland(DEBIAN, |folder| {
            let mut debootstrap = Command::new("debootstrap");
            debootstrap
                .args(["--variant=minbase", "trixie"])
                .arg(folder)
                .args(mirror());
            output(&mut debootstrap).map(drop)
        })
    }

    /// Ubuntu 24.04 from the mirror that the variable names.
    fn ubuntu(&self) -> Result<()> {
        let mirror = std::env::var(UBUNTU_MIRROR).with_context(|| format!("{UBUNTU_MIRROR} names no mirror"))?;
        self.userland(UBUNTU, |folder| {
            let [path, digest] = UBUNTU_KEYS;
            let (deb, keys) = (folder.with_extension("deb"), folder.with_extension("keys"));
            let mut fetching = Command::new("curl");
            fetching.args(["--fail", "--silent", "--show-error", "--max-time", "30", "--output"]);
            output(fetching.arg(&deb).arg(format!("{mirror}/{path}")))?;
            let summed = output(Command::new("sha256sum").arg(&deb))?;
            ensure!(
                summed.starts_with(digest),
                "the mirror's keys are others than they were: {summed}"
            );
            output(Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(&keys))?;
            let keys = keys.join("usr/share/keyrings/ubuntu-archive-keyring.gpg");
            let mut debootstrap = Command::new("debootstrap");
            debootstrap.args(["--variant=minbase", "--components=main,universe"]);
            debootstrap
                .arg(format!("--keyring={}", keys.display()))
                .arg("noble")
                .arg(folder);
            // One script is for every Ubuntu; that of this release came after Debian 12.
            debootstrap.args([&mirror, "/usr/share/debootstrap/scripts/gutsy"]);
            output(&mut debootstrap).map(drop)
        })?;
        // By these cloud-init knows what its mirror has, and in which language.
        let packages = format!("{OF_A_MACHINE} lsb-release locales");
        // Its Docker lays one file system over another, which cannot be done on a container's own.
        let disks = "VOLUME [\"/var/lib/containerd\", \"/var/lib/docker\"]\n";
        self.image(UBUNTU_INSTANCE, &(machine(UBUNTU, &packages) + disks))
    }

    /// Imports what is made in a folder, unless it was before.
    fn userland(&self, image: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if self.command(&["image", "inspect", image]).output()?.status.success() {
            return Ok(());
        }
        let (folder, archive) = (
            root().join("target/rig/userland"),
            root().join("target/rig/userland.tar"),
        );
        if folder.exists() {
            // From a run that was broken off.
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        make(&folder)?;
        let mut packing = Command::new("tar");
        packing.arg("-C").arg(&folder).arg("-cf").arg(&archive).arg(".");
        output(&mut packing)?;
        std::fs::remove_dir_all(&folder)?;
        let imported = output(self.command(&["import"]).arg(&archive).arg(image));
        std::fs::remove_file(&archive)?;
        imported.map(drop)
    }

    /// Debian's Prometheus under the name that the monitor's compose file has, since no registry is asked. As upstream's: two
    /// programs, and a user that is not root.
    fn prometheus(&self) -> Result<()> {
        let images = std::fs::read_to_string(root().join("provisioning/monitor/images.env"))?;
        let name = images.lines().find_map(|line| line.strip_prefix("PROMETHEUS_IMAGE="));
        // What is built here has another digest than the registry's.
        let name = name.and_then(|name| name.split('@').next());
        let libraries = "ldd /usr/bin/prometheus /usr/bin/promtool | grep -o '/lib[^ ]*' | sort -u";
        let dockerfile = format!(
            "FROM {DEBIAN} AS made\nRUN {}\nRUN mkdir -p /out/bin /out/prometheus && chown 65534 /out/prometheus && \
             cp /usr/bin/prometheus /usr/bin/promtool /out/bin && cp --dereference --parents $({libraries}) /out\n\
             FROM scratch\nCOPY --from=made /out /\nUSER 65534\nENTRYPOINT [\"/bin/prometheus\"]\n",
            installing("prometheus")
        );
        self.image(name.context("images.env names no Prometheus")?, &dockerfile)
    }

    /// Builds an image; each step that was built before is taken from Docker's store.
    fn image(&self, name: &str, dockerfile: &str) -> Result<()> {
        let mut building = self.command(&["build", "--quiet", "--tag", name, "-"]);
        let mut child = building
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("the builder reads its Dockerfile from us")?;
        input.write_all(dockerfile.as_bytes())?;
        drop(input);
        said(name, &child.wait_with_output()?).map(drop)
    }

    fn test(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(["test", "--package", "tests", "--test", "rig", "--quiet"])
            .args(arguments);
        self.run(&mut command)
    }

    fn test_on_account(&self, arguments: &[&str]) -> Result<()> {
        let mut command = aws::on_machines()?;
        command.args(arguments);
        self.run(&mut command)
    }

    fn run(&self, command: &mut Command) -> Result<()> {
        self.tell_where(command);
        run(command.env("ARYA_BIN", binary()))
    }
}

/// Asks the daemon of a run that was broken off to end, and waits until it did.
// A command of the terminal may wait for a program that has no way to call back.
#[allow(clippy::disallowed_methods)]
fn end_what_was_left(pid: &Path) -> Result<()> {
    let Ok(pid) = std::fs::read_to_string(pid) else {
        return Ok(());
    };
    let running = || {
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("target/rig/docker.sock")
    };
    let deadline = Instant::now() + DAEMON_WITHIN;
    while running() {
        ensure!(
            Instant::now() < deadline,
            "the rig's Docker daemon of an earlier run, process {}, does not end",
            pid.trim()
        );
        Command::new("kill").arg(pid.trim()).status()?;
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

impl Drop for Docker {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            // Asked, not killed: it ends its containers and its own children on the way.
            let asked = Command::new("kill").arg(daemon.id().to_string()).status();
            if asked.is_ok_and(|status| status.success()) {
                // Nothing more can be done about a daemon that cannot be waited for.
                drop(daemon.wait());
            }
        }
    }
}

/// The mirror of Debian in this machine's own lists of packages; others' repositories stand there too.
fn mirror() -> Option<String> {
    let folder = std::fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten();
    let files = folder
        .map(|entry| entry.path())
        .chain([PathBuf::from("/etc/apt/sources.list")]);
    let lists: String = files.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    let of_debian = |word: &&str| word.contains("://") && word.trim_end_matches('/').ends_with("/debian");
    lists.split_whitespace().find(of_debian).map(str::to_owned)
}

fn output(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    said(
        &shown,
        &command
            .output()
            .with_context(|| format!("{shown} could not be started"))?,
    )
}

fn said(what: &str, output: &Output) -> Result<String> {
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{what} ended with {}:\n{errors}",
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
