//! The network of the account as one of Docker's, so that instances have the very addresses that the account says.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use crate::machine::{docker, try_docker};

/// Of the network and of its bridge: a run that was broken off leaves one bridge at most, which the next one knows by its name.
pub(crate) const NAME: &str = "arya-rig";
/// Of the account's own network; its subnets lie elsewhere in it.
pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const RANGE: &str = "10.0.0.0/16";

/// Removed with the value.
#[derive(Debug)]
pub(crate) struct Network;

impl Network {
    pub(crate) fn create() -> Self {
        // What a run that was broken off left behind.
        remove();
        let gateway = HERE.to_string();
        let bridge = format!("com.docker.network.bridge.name={NAME}");
        docker(&[
            "network",
            "create",
            "--subnet",
            RANGE,
            "--gateway",
            &gateway,
            "--opt",
            &bridge,
            NAME,
        ]);
        // Others may have bridges with the same range, also such as nobody uses any more, and the oldest route would have the packets.
        let first = ["route", "prepend", RANGE, "dev", NAME, "src", &gateway];
        let routed = Command::new("ip").args(first).output().unwrap();
        assert!(routed.status.success(), "ip {first:?}: {routed:?}");
        Self
    }

    /// What a person would look at when no packet arrives.
    pub(crate) fn shown() -> String {
        let asked: [(&str, &[&str]); 3] = [
            ("ip", &["-oneline", "route", "show"]),
            ("ip", &["-brief", "address", "show"]),
            ("docker", &["ps", "--all", "--filter", "label=arya-rig"]),
        ];
        let said = asked.map(|(program, arguments)| {
            let output = Command::new(program).args(arguments).output().unwrap();
            format!(
                "--- {program} {}\n{}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stdout)
            )
        });
        said.concat()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove();
    }
}

/// With the containers that are in it: Docker keeps a network that has any.
fn remove() {
    let inside = format!("network={NAME}");
    let left = try_docker(&["ps", "--all", "--quiet", "--filter", &inside]).stdout;
    for container in String::from_utf8_lossy(&left).split_whitespace() {
        try_docker(&["rm", "--force", "--volumes", container]);
    }
    try_docker(&["network", "rm", NAME]);
    // Of a daemon that is not there any more; mostly there is none.
    drop(Command::new("ip").args(["link", "delete", NAME]).output());
}
