//! The network of the account as one of Docker's, so that instances have the very addresses that the account says.

use std::net::{IpAddr, Ipv4Addr};

use crate::machine::{docker, try_docker};

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
        let left = docker(&["ps", "--all", "--quiet", "--filter", &format!("network={NAME}")]);
        for container in left.split_whitespace() {
            try_docker(&["rm", "--force", "--volumes", container]);
        }
        try_docker(&["network", "rm", NAME]);
        let gateway = HERE.to_string();
        docker(&["network", "create", "--subnet", RANGE, "--gateway", &gateway, NAME]);
        Self
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        try_docker(&["network", "rm", NAME]);
    }
}
