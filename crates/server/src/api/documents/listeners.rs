//! The load balancers with their listeners and rules, as a person chooses among them.

use arya_judge::Timestamp;
use arya_plan::listener::{ListenerId, LoadBalancerId, Site};
use serde::{Deserialize, Serialize};

use super::RuleDocument;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListenersDocument {
    pub(crate) load_balancers: Vec<LoadBalancerDocument>,
    /// When the cloud was looked at.
    pub(crate) as_of: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoadBalancerDocument {
    pub(crate) id: LoadBalancerId,
    pub(crate) name: String,
    pub(crate) listeners: Vec<ListenerDocument>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListenerDocument {
    pub(crate) id: ListenerId,
    /// Where users reach it.
    pub(crate) address: String,
    pub(crate) port: u16,
    /// In the order in which they are looked at, the default rule last.
    pub(crate) rules: Vec<RuleDocument>,
}

impl ListenersDocument {
    pub(crate) fn of(sites: &[Site], as_of: Timestamp) -> Self {
        let mut load_balancers: Vec<LoadBalancerDocument> = Vec::new();
        for site in sites {
            let listener = ListenerDocument {
                id: site.listener.clone(),
                address: site.address.clone(),
                port: site.port,
                rules: site.rules.iter().map(|rule| RuleDocument::of(rule, site)).collect(),
            };
            match load_balancers.iter_mut().find(|known| known.id == site.load_balancer) {
                Some(known) => known.listeners.push(listener),
                None => load_balancers.push(LoadBalancerDocument {
                    id: site.load_balancer.clone(),
                    name: site.load_balancer_name.clone(),
                    listeners: vec![listener],
                }),
            }
        }
        Self { load_balancers, as_of }
    }
}
