//! The load balancers with their listeners and rules, as a person chooses among them.

use arya_judge::Timestamp;
use arya_plan::listener::{ListenerId, LoadBalancerId, Site};
use arya_plan::surroundings::{MissingRight, Tenure};
use serde::{Deserialize, Serialize};

use super::RuleDocument;
use crate::world::Sighting;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListenersDocument {
    pub(crate) load_balancers: Vec<LoadBalancerDocument>,
    /// Where they were looked for.
    #[serde(default)]
    pub(crate) connections: Vec<ConnectionDocument>,
    /// When the cloud was looked at; of several connections the one that was looked at longest ago.
    pub(crate) as_of: Timestamp,
}

/// One account and region of the configuration, or the local world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConnectionDocument {
    /// What specs call it.
    pub(crate) name: String,
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
    /// As whom.
    pub(crate) arn: Option<String>,
    /// When its listeners were seen; `null` = not yet.
    pub(crate) as_of: Option<Timestamp>,
    /// Why the last look brought nothing, and what to do.
    pub(crate) error: Option<String>,
    /// When the credentials end; `null` = they renew or do not say.
    #[serde(default)]
    pub(crate) credentials_end: Option<Timestamp>,
    /// Actions that were refused when they were asked for, each with the statement that allows it; `null` = not asked yet.
    #[serde(default)]
    pub(crate) missing: Option<Vec<MissingRight>>,
    /// Actions that can only be known by doing them.
    #[serde(default)]
    pub(crate) unknown: Vec<String>,
}

impl ConnectionDocument {
    pub(crate) const fn identity_is_known(&self) -> bool {
        self.arn.is_some()
    }

    fn of(sighting: &Sighting) -> Self {
        let identity = sighting.identity.as_ref();
        Self {
            name: sighting.connection.clone(),
            account: identity.map(|identity| identity.account.clone()),
            region: identity.map(|identity| identity.region.clone()),
            arn: identity.map(|identity| identity.arn.clone()),
            as_of: sighting.as_of,
            error: sighting.error.as_ref().map(ToString::to_string),
            credentials_end: sighting.tenure.and_then(Tenure::end),
            missing: sighting.rights.as_ref().map(|rights| rights.missing.clone()),
            unknown: sighting
                .rights
                .as_ref()
                .map_or_else(Vec::new, |rights| rights.unknown.clone()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoadBalancerDocument {
    pub(crate) id: LoadBalancerId,
    pub(crate) name: String,
    /// What a spec names as its `connection`.
    #[serde(default)]
    pub(crate) connection: String,
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
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
    pub(crate) fn of(sightings: &[Sighting], now: Timestamp) -> Self {
        let mut load_balancers: Vec<LoadBalancerDocument> = Vec::new();
        for sighting in sightings {
            for site in sighting.sites.iter() {
                add(&mut load_balancers, sighting, site);
            }
        }
        Self {
            load_balancers,
            connections: sightings.iter().map(ConnectionDocument::of).collect(),
            as_of: sightings.iter().filter_map(|one| one.as_of).min().unwrap_or(now),
        }
    }
}

fn add(load_balancers: &mut Vec<LoadBalancerDocument>, sighting: &Sighting, site: &Site) {
    let listener = ListenerDocument {
        id: site.listener.clone(),
        address: site.address.clone(),
        port: site.port,
        rules: site.rules.iter().map(|rule| RuleDocument::of(rule, site)).collect(),
    };
    // Two connections may lead to the same account.
    let same =
        |known: &&mut LoadBalancerDocument| known.id == site.load_balancer && known.connection == sighting.connection;
    match load_balancers.iter_mut().find(same) {
        Some(known) => known.listeners.push(listener),
        None => load_balancers.push(LoadBalancerDocument {
            id: site.load_balancer.clone(),
            name: site.load_balancer_name.clone(),
            connection: sighting.connection.clone(),
            account: sighting.identity.as_ref().map(|identity| identity.account.clone()),
            region: sighting.identity.as_ref().map(|identity| identity.region.clone()),
            listeners: vec![listener],
        }),
    }
}
