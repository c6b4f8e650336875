//! One named connection: made when it is needed, made again when that failed, and looked at while somebody is looking.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arya_aws::{AwsCloud, AwsSettings};
use arya_engine::Clock;
use arya_judge::Timestamp;
use arya_plan::cloud::{Cloud as _, CloudError, ErrorKind};
use arya_plan::desired::Desired;
use arya_plan::identity::DeploymentId;
use arya_plan::listener::Site;
use arya_plan::observed::Observed;
use arya_plan::spec::{Instances, Spec};
use arya_plan::surroundings::Surroundings;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::monitors::{Monitors, Watching};
use super::posts::Ring;
use super::renewing::Renewing;
use crate::world::{Identity, Look, Sighting};

/// A connection that is not there after this long is one that cannot be made now. The SDK's own limits lie below.
const CONNECT_WITHIN: Duration = Duration::from_secs(12);
/// After a connection could not be made, the next one that needs it waits no longer than this for another try.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Once an hour or so, beside the looks.
const RENEWED_WITHIN: Duration = Duration::from_secs(20);
/// What a person waits for: one listener, and what stands around it.
const LOOK_WITHIN: Duration = Duration::from_secs(30);
/// A look at every load balancer of an account with some hundreds, behind all that somebody waits for.
const LOOK_AROUND_WITHIN: Duration = Duration::from_secs(20 * 60);
/// A page that is open asks again and again; the account is looked at this often at most for its sake. All calls of an
/// account share ten a second (Elastic Load Balancing, "API throttling"). After a long look it rests as long as that took.
const LOOKS_APART: Duration = Duration::from_secs(15);
/// And so often at least, so that a page that is opened has something to show.
const LOOKS_ANYWAY: Duration = Duration::from_secs(300);
/// Whoever asks before the first look has come back waits this long for it.
const FIRST_LOOK_WITHIN: Duration = Duration::from_secs(5);
/// What production's instances are like is not asked again for this long while a plan is edited.
const RESOLVED_FOR: Duration = Duration::from_secs(60);
/// Answers that are remembered; more are different plans than people edit at a time.
const RESOLVED_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Account {
    name: String,
    settings: AwsSettings,
    clock: Clock,
    /// Once it is made, it stays.
    made: OnceLock<AwsCloud>,
    /// How the last try failed; locked while one goes on.
    making: tokio::sync::Mutex<Option<Failed>>,
    seen: watch::Sender<Sighting>,
    asked: Notify,
    monitors: Monitors,
    renewing: Arc<Renewing>,
    resolved: Mutex<HashMap<String, (Instant, Instances)>>,
}

#[derive(Debug)]
struct Failed {
    at: Instant,
    error: CloudError,
}

impl Account {
    pub(super) fn new(name: String, settings: AwsSettings, clock: Clock) -> Self {
        let nothing = Sighting {
            connection: name.clone(),
            identity: None,
            sites: Arc::new([]),
            as_of: None,
            error: None,
            rights: None,
            tenure: None,
        };
        Self {
            name,
            settings,
            clock,
            made: OnceLock::new(),
            making: tokio::sync::Mutex::default(),
            seen: watch::Sender::new(nothing),
            asked: Notify::new(),
            monitors: Monitors::default(),
            renewing: Arc::default(),
            resolved: Mutex::default(),
        }
    }

    /// What stands of a deployment.
    pub(super) async fn observe(&self, desired: &Desired, now: Timestamp) -> Result<Observed, CloudError> {
        let cloud = self.cloud().await?;
        let seen = cloud.observe(desired, now).await?;
        let authorization = || self.authorization(&desired.id);
        let ring = || Ring::in_bucket(cloud.clone(), desired.clone());
        self.monitors.note(desired, &seen, authorization, ring);
        self.see_to_urls(&cloud, desired, &seen);
        Ok(seen)
    }

    /// Instances have URLs of ours, which end with the session that signed them.
    /// No look waits for new ones.
    fn see_to_urls(&self, cloud: &AwsCloud, desired: &Desired, seen: &Observed) {
        // Also while it is destroyed: their last words and recordings are still to come.
        if seen.instances.iter().all(|one| one.state.is_ending()) {
            cloud.forget_urls(&desired.id);
            self.renewing.forget(&desired.id);
            return;
        }
        if !self.renewing.is_due(&desired.id) {
            return;
        }
        self.renewing.begun(&desired.id);
        let (renewing, name) = (Arc::clone(&self.renewing), self.name.clone());
        let (cloud, desired, standing) = (cloud.clone(), desired.clone(), seen.instances.clone());
        tokio::spawn(async move {
            let renewed = timeout(RENEWED_WITHIN, cloud.renew_urls(&desired, &standing)).await;
            let late = |_| Err(no_answer(&name, "sign the instances' URLs", RENEWED_WITHIN));
            match renewed.unwrap_or_else(late) {
                Ok(()) => renewing.forget(&desired.id),
                // A later look tries again, and a monitor whose URLs ended is told as silent where its evidence is missed.
                Err(error) => {
                    tracing::warn!(deployment = %desired.id, %error, "the instances' URLs were not renewed");
                }
            }
        });
    }

    /// The monitor of a deployment, while it is ready.
    pub(super) fn watching(&self, deployment: &DeploymentId) -> Option<Arc<Watching>> {
        self.monitors.of(deployment)
    }

    pub(super) const fn settings(&self) -> &AwsSettings {
        &self.settings
    }

    /// What the monitor of a deployment is shown at its door.
    pub(super) fn authorization(&self, deployment: &DeploymentId) -> String {
        self.settings.door_key.door(deployment).authorization()
    }

    /// The cloud of this connection, if it was made already. Never waits, so that one account does not hold up another.
    pub(super) fn connected(&self) -> Option<&AwsCloud> {
        self.made.get()
    }

    /// The cloud of this connection.
    pub(super) async fn cloud(&self) -> Result<AwsCloud, CloudError> {
        if let Some(cloud) = self.connected() {
            return Ok(cloud.clone());
        }
        let mut making = self.making.lock().await;
        // Whoever had the lock before may have made it.
        if let Some(cloud) = self.connected() {
            return Ok(cloud.clone());
        }
        if let Some(Failed { at, error }) = &*making
            && at.elapsed() < AGAIN_AFTER
        {
            return Err(error.clone());
        }
        let made = timeout(CONNECT_WITHIN, AwsCloud::connect(self.settings.clone())).await;
        match made.unwrap_or_else(|_| Err(no_answer(&self.name, "be made", CONNECT_WITHIN))) {
            Ok(cloud) => Ok(self.made.get_or_init(|| cloud).clone()),
            Err(error) => {
                *making = Some(Failed {
                    at: Instant::now(),
                    error: error.clone(),
                });
                Err(error)
            }
        }
    }

    /// What was seen last. Has it looked at again soon; waits only while nothing was seen ever.
    pub(super) async fn last(&self) -> Sighting {
        self.asked.notify_one();
        let mut seen = self.seen.subscribe();
        let looked = |sighting: &Sighting| sighting.as_of.is_some() || sighting.error.is_some();
        // Who is still looking after that says so.
        let _ = timeout(FIRST_LOOK_WITHIN, seen.wait_for(looked)).await;
        self.seen.borrow().clone()
    }

    /// What is seen now of everything. A look that brings nothing keeps what was seen before, with why.
    pub(super) async fn look(&self) -> Sighting {
        let looked = match self.cloud().await {
            Ok(cloud) => {
                let found = timeout(LOOK_AROUND_WITHIN, cloud.discover()).await;
                let late = |_| Err(no_answer(&self.name, "show its listeners", LOOK_AROUND_WITHIN));
                let found = found.unwrap_or_else(late);
                (Some(cloud), found)
            }
            Err(error) => (None, Err(error)),
        };
        let at = self.clock.now();
        self.seen.send_modify(|sighting| {
            let (cloud, found) = looked;
            if let Some(cloud) = cloud {
                sighting.identity = Some(identity(&cloud));
            }
            match found {
                Ok(sites) => {
                    sighting.sites = sites.into();
                    sighting.as_of = Some(at);
                    sighting.error = None;
                }
                Err(error) => sighting.error = Some(error),
            }
        });
        self.seen.borrow().clone()
    }

    /// What is seen now of the listener that a spec names, and what was seen last of the others.
    pub(super) async fn look_at(&self, spec: &Spec) -> Sighting {
        let asked = async { self.cloud().await?.site(spec).await };
        let (found, mut sighting) = tokio::join!(timeout(LOOK_WITHIN, asked), self.last());
        match found.unwrap_or_else(|_| Err(no_answer(&self.name, "show the listener", LOOK_WITHIN))) {
            Ok(site) => {
                let others = sighting.sites.iter().filter(|one| one.listener != spec.listener);
                sighting.sites = others.cloned().chain(site).collect();
                sighting.as_of = Some(self.clock.now());
                sighting.error = None;
            }
            Err(error) => sighting.error = Some(error),
        }
        sighting
    }

    /// Looks now, and then whenever somebody has asked, never too often.
    pub(super) async fn watch(&self) {
        loop {
            let begun = Instant::now();
            let sighting = self.look().await;
            if let Some(error) = &sighting.error {
                tracing::warn!(connection = self.name, %error, "the account could not be looked at");
            }
            self.ask_for_rights().await;
            tokio::time::sleep(LOOKS_APART.max(begun.elapsed())).await;
            let _ = timeout(LOOKS_ANYWAY, self.asked.notified()).await;
        }
    }

    /// What stands around a listener.
    ///
    /// # Errors
    /// It is not told, or not in time. That nothing speaks against a plan is then not known.
    pub(super) async fn surroundings(&self, spec: &Spec, site: &Site) -> Result<Surroundings, CloudError> {
        let asked = async { self.cloud().await?.surroundings(spec, site).await };
        let found = timeout(LOOK_WITHIN, asked).await;
        let found = found.unwrap_or_else(|_| {
            Err(no_answer(
                &self.name,
                "show what stands around the listener",
                LOOK_WITHIN,
            ))
        });
        let found = found.inspect_err(|error| {
            tracing::warn!(connection = self.name, %error, "what stands around a listener could not be read");
        })?;
        Ok(Surroundings {
            asked_from: Some(own_addresses()),
            ..found
        })
    }

    /// What the identity may do and how long it holds, for the page that shows it.
    async fn ask_for_rights(&self) {
        let Ok(cloud) = self.cloud().await else { return };
        let (rights, tenure) = (cloud.preflight(None).await, cloud.tenure().await);
        self.seen.send_modify(|sighting| {
            sighting.rights = Some(rights);
            sighting.tenure = Some(tenure);
        });
    }

    /// The spec without words, with production's instances as they were asked for lately, or are now.
    pub(super) async fn resolve(&self, spec: &Spec, look: Look) -> Result<Spec, CloudError> {
        let key = format!("{} {:?} {:?}", spec.listener, spec.in_front_of, spec.instances);
        if look == Look::Last
            && let Some(instances) = self.remembered(&key)
        {
            return Ok(Spec {
                instances,
                ..spec.clone()
            });
        }
        let resolved = self.cloud().await?.resolve(spec).await?;
        let mut all = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= RESOLVED_MAX {
            all.clear();
        }
        all.insert(key, (Instant::now(), resolved.instances.clone()));
        Ok(resolved)
    }

    fn remembered(&self, key: &str) -> Option<Instances> {
        let all = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, instances) = all.get(key)?;
        (at.elapsed() < RESOLVED_FOR).then(|| instances.clone())
    }

    /// The account and region once they are known.
    pub(super) fn place(&self) -> String {
        match &self.seen.borrow().identity {
            Some(identity) => format!("{} · {}", identity.account, identity.region),
            None => format!("AWS: {}", self.name),
        }
    }
}

/// The address by which this machine speaks to the world, as it knows itself.
fn own_addresses() -> BTreeSet<IpAddr> {
    // Kept for documentation by RFC 5737. Nothing is sent: to connect such a socket only chooses a way out.
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 9));
    let spoken = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(elsewhere)?;
        socket.local_addr()
    });
    let known = spoken.ok().map(|address| address.ip());
    known.filter(|address| !address.is_unspecified()).into_iter().collect()
}

fn identity(cloud: &AwsCloud) -> Identity {
    let known = cloud.identity();
    Identity {
        account: known.account.clone(),
        arn: known.arn.clone(),
        region: known.region.clone(),
    }
}

fn no_answer(connection: &str, to: &str, limit: Duration) -> CloudError {
    let what = format!(
        "The connection `{connection}` could not {to} within {} s.",
        limit.as_secs()
    );
    CloudError::new(
        ErrorKind::Unknown,
        what,
        "Check the network from this server to AWS, and look again.",
    )
}
