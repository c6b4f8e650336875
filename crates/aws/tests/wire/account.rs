//! What stands in an account, as a clock that the test turns has it: nothing happens by itself, every state follows from
//! when something was asked for. Behaviours are rows of `docs/aws-behaviours.md`.

mod balancing;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use arya_judge::Timestamp;
use arya_plan::spec::Digest;
use serde_json::json;

use crate::common::told::{pieces, unpacked, url, value};
use crate::metrics::{Served, Withheld};
use crate::tree::Tree;

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const OWNER: &str = "123456789012";
pub(crate) const VPC: &str = "vpc-0001";
pub(crate) const SUBNET: &str = "subnet-000a";
pub(crate) const IMAGE: &str = "ami-0debian13";
pub(crate) const LISTENER: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/shop/50dc/f2f7";
pub(crate) const BALANCER: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/shop/50dc";
pub(crate) const PRODUCTION: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop-web/73e2";

/// Seconds from a launch until the instance runs, and from there until its script is through, if its files are there.
const STARTS_S: u64 = 15;
const BOOTS_S: u64 = 25;
/// Seconds that an instance shuts down, and holds its network interface.
const ENDS_S: u64 = 20;
/// So few in one answer that whoever forgets the rest is found.
const FEW: usize = 3;

/// A no, as the service says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct No {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
}

impl No {
    pub(crate) const fn bad(code: &'static str) -> Self {
        Self { code, status: 400 }
    }
}

pub(crate) type Tags = BTreeMap<String, String>;

#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) tags: Tags,
    pub(crate) subnet: String,
    pub(crate) groups: Vec<String>,
    pub(crate) address: String,
    pub(crate) launched: u64,
    terminated: Option<u64>,
    /// Base64, as it was sent.
    pub(crate) user_data: String,
    /// Its launch, as it was asked for.
    pub(crate) asked: Tree,
    ready: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct SecurityGroup {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) tags: Tags,
    pub(crate) permissions: Vec<Tree>,
    made: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) arn: String,
    /// As it was asked for.
    pub(crate) asked: Tree,
    pub(crate) tags: Tags,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) targets: BTreeMap<String, Target>,
    used_since: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    registered: u64,
    left: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) arn: String,
    /// `None` = the default rule.
    pub(crate) priority: Option<u16>,
    pub(crate) asked: Tree,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Bucket {
    pub(crate) tagging: Option<String>,
    /// The rules by which it empties itself.
    pub(crate) lifecycle: String,
    /// Sizes, and bodies of the small ones.
    pub(crate) objects: BTreeMap<String, (u64, Vec<u8>)>,
    pub(crate) unfinished: BTreeMap<String, (String, u64)>,
}

#[derive(Debug)]
pub(crate) struct Account {
    /// Seconds since the test began.
    pub(crate) now: u64,
    /// Seconds until EC2 lists what was just made.
    pub(crate) lag: u64,
    /// Of anything in one answer.
    pub(crate) page: usize,
    /// Load balancers besides, each with a listener, a rule and a group of its own.
    pub(crate) others: usize,
    /// Groups whose targets answer no check, by ARN.
    pub(crate) sick: Vec<String>,
    /// Rules that are listed once more and are gone when somebody asks about them.
    pub(crate) vanishing: Vec<String>,
    /// Whose key we sign with.
    pub(crate) caller: &'static str,
    /// Its instances never get so far as to say anything.
    pub(crate) is_mute: bool,
    /// When its clock stood at nothing.
    pub(crate) began: Timestamp,
    /// Its objects were written hours ago.
    pub(crate) is_aged: bool,
    made: u64,
    tokens: HashMap<String, (String, String)>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) security_groups: Vec<SecurityGroup>,
    pub(crate) groups: Vec<Group>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) buckets: BTreeMap<String, Bucket>,
    /// What the load balancer counted.
    pub(crate) served: Vec<Served>,
    pub(crate) withheld: Option<Withheld>,
}

impl Account {
    /// A load balancer with one listener, three rules besides its default one, and two instances behind it.
    pub(crate) fn seeded(lag: u64) -> Self {
        let form = |text: &str| Tree::from_form(text.as_bytes());
        let to_production = format!(
            "Actions.member.1.Type=forward&Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn={PRODUCTION}\
             &Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight=1"
        );
        let condition = |value: &str| {
            format!(
                "&Conditions.member.1.Field=path-pattern&Conditions.member.1.PathPatternConfig.Values.member.1={value}"
            )
        };
        let gone = "Actions.member.1.Type=fixed-response&Actions.member.1.FixedResponseConfig.StatusCode=410\
            &Actions.member.1.FixedResponseConfig.ContentType=text/plain";
        let rule = |number: u16, priority, asked: &str| Rule {
            arn: format!("{}/{number}", LISTENER.replace(":listener/", ":listener-rule/")),
            priority,
            asked: form(asked),
            tags: Tags::new(),
        };
        let mut account = Self {
            now: 0,
            lag,
            page: FEW,
            others: 0,
            sick: vec![],
            vanishing: vec![],
            caller: OWNER,
            is_mute: false,
            // Its clock begins at a thousand seconds.
            began: Timestamp::now() - Duration::from_secs(1_000),
            is_aged: false,
            made: 0,
            tokens: HashMap::new(),
            instances: vec![],
            security_groups: vec![],
            groups: vec![],
            rules: vec![
                rule(1, Some(10), &format!("{gone}{}", condition("/old/*"))),
                rule(2, Some(20), &format!("{to_production}{}", condition("/images/*"))),
                rule(3, Some(30), &format!("{to_production}{}", condition("/partner/*"))),
                rule(9, None, &to_production),
            ],
            buckets: BTreeMap::new(),
            served: vec![],
            withheld: None,
        };
        let mut targets = BTreeMap::new();
        for _ in 0..2 {
            let instance = account.new_instance(
                &form(&format!("SubnetId={SUBNET}&SecurityGroupId.1=sg-web")),
                Tags::new(),
            );
            targets.insert(
                instance.id.clone(),
                Target {
                    registered: 0,
                    left: None,
                },
            );
            account.instances.push(instance);
        }
        account.groups.push(Group {
            arn: PRODUCTION.into(),
            asked: form("Name=shop-web&Protocol=HTTP&ProtocolVersion=HTTP1&Port=8080&TargetType=instance&Matcher.HttpCode=200-204"),
            tags: Tags::new(),
            attributes: BTreeMap::from([(
                "load_balancing.algorithm.type".into(),
                "least_outstanding_requests".into(),
            )]),
            targets,
            used_since: Some(0),
        });
        // Production has long been up.
        account.now = 1_000;
        account
    }

    /// Whoever asks about all of them asks a lot.
    pub(crate) fn add_balancers(&mut self, count: usize) {
        for number in 0..count {
            let group = other(PRODUCTION, number);
            let forward = format!(
                "Actions.member.1.Type=forward&Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn={group}\
                 &Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight=1"
            );
            self.rules.push(Rule {
                arn: format!("{}/9", other(LISTENER, number).replace(":listener/", ":listener-rule/")),
                priority: None,
                asked: Tree::from_form(forward.as_bytes()),
                tags: Tags::new(),
            });
            let asked = format!("Name=other-{number}&Protocol=HTTP&Port=8080&TargetType=instance");
            self.groups.push(Group {
                arn: group,
                asked: Tree::from_form(asked.as_bytes()),
                tags: Tags::new(),
                attributes: BTreeMap::new(),
                targets: BTreeMap::new(),
                used_since: Some(0),
            });
        }
        self.others = count;
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn new_instance(&mut self, asked: &Tree, tags: Tags) -> Instance {
        let number = self.number();
        Instance {
            id: format!("i-{number:017x}"),
            tags,
            subnet: asked.text("SubnetId").to_owned(),
            groups: asked.texts("SecurityGroupId").into_iter().map(str::to_owned).collect(),
            address: format!("10.0.1.{}", 10 + number),
            launched: self.now,
            terminated: None,
            user_data: asked.text("UserData").to_owned(),
            asked: asked.clone(),
            ready: false,
        }
    }

    /// A used token is answered with the instance it made, dead or alive; with other words it is refused.
    pub(crate) fn run(&mut self, asked: &Tree, tags: Tags) -> Result<Instance, No> {
        let (token, words) = (asked.text("ClientToken").to_owned(), format!("{asked:?}"));
        if let Some((id, before)) = self.tokens.get(&token) {
            let made = self.instances.iter().find(|one| one.id == *id);
            return match made {
                Some(made) if *before == words => Ok(made.clone()),
                _ => Err(No::bad("IdempotentParameterMismatch")),
            };
        }
        let stands = |id: &str| self.security_groups.iter().any(|group| group.id == id) || id == "sg-web";
        if !asked.texts("SecurityGroupId").into_iter().all(stands) {
            return Err(No::bad("InvalidGroup.NotFound"));
        }
        let instance = self.new_instance(asked, tags);
        self.tokens.insert(token, (instance.id.clone(), words));
        self.instances.push(instance.clone());
        Ok(instance)
    }

    pub(crate) fn state(&self, instance: &Instance) -> &'static str {
        match instance.terminated {
            Some(at) if self.now >= at + ENDS_S => "terminated",
            Some(_) => "shutting-down",
            None if self.now < instance.launched + STARTS_S => "pending",
            None => "running",
        }
    }

    pub(crate) fn listed_instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|one| self.now >= one.launched + self.lag)
    }

    pub(crate) fn terminate(&mut self, id: &str) -> Result<(), No> {
        let now = self.now;
        let instance = self.instances.iter_mut().find(|one| one.id == id);
        let instance = instance.ok_or(No::bad("InvalidInstanceID.NotFound"))?;
        instance.terminated.get_or_insert(now);
        Ok(())
    }

    /// What running instances do by themselves: fetch their files, and say that they are ready.
    pub(crate) fn boot(&mut self) {
        let (now, ready_after) = (self.now, STARTS_S + BOOTS_S);
        for instance in &mut self.instances {
            let up = instance.terminated.is_none() && now >= instance.launched + ready_after;
            if self.is_mute || instance.ready || !up || instance.user_data.is_empty() {
                continue;
            }
            let user_data = unpacked(&instance.user_data);
            let (bucket, key) = place(value(&user_data, "STATUS_URL"));
            let Some(bucket) = self.buckets.get_mut(&bucket) else {
                continue;
            };
            let settings = &bucket.objects[&place(value(&user_data, "SETTINGS_URL")).1].1;
            assert_eq!(Digest::of(settings).hex(), value(&user_data, "SETTINGS_SHA256"));
            let settings = String::from_utf8(settings.clone()).unwrap();
            let named = ["COMPOSE", "ENV_FILE"]
                .into_iter()
                .filter_map(|name| url(&settings, name));
            if named
                .chain(pieces(&settings))
                .all(|url| bucket.objects.contains_key(&place(url).1))
            {
                let status = json!({"phase": "ready", "at": "2026-01-01T00:00:00Z"})
                    .to_string()
                    .into_bytes();
                bucket.objects.insert(key, (status.len() as u64, status));
                instance.ready = true;
            }
        }
    }

    pub(crate) fn new_security_group(&mut self, name: &str, tags: Tags) -> Result<String, No> {
        if self.security_groups.iter().any(|group| group.name == name) {
            return Err(No::bad("InvalidGroup.Duplicate"));
        }
        let id = format!("sg-{:017x}", self.number());
        self.security_groups.push(SecurityGroup {
            id: id.clone(),
            name: name.to_owned(),
            tags,
            permissions: vec![],
            made: self.now,
        });
        Ok(id)
    }

    pub(crate) fn listed_security_groups(&self) -> impl Iterator<Item = &SecurityGroup> {
        self.security_groups
            .iter()
            .filter(|one| self.now >= one.made + self.lag)
    }

    /// Held by whoever has not ended yet, and by the groups that let it in.
    pub(crate) fn delete_security_group(&mut self, id: &str) -> Result<(), No> {
        let position = self.security_groups.iter().position(|group| group.id == id);
        let position = position.ok_or(No::bad("InvalidGroup.NotFound"))?;
        let holds = |one: &&Instance| one.groups.iter().any(|group| group == id) && self.state(one) != "terminated";
        let lets_in = |group: &&SecurityGroup| group.id != id && format!("{:?}", group.permissions).contains(id);
        if self.instances.iter().any(|one| holds(&one)) || self.security_groups.iter().any(|group| lets_in(&group)) {
            return Err(No::bad("DependencyViolation"));
        }
        self.security_groups.remove(position);
        Ok(())
    }

    /// Everything that is left of deployments, in words.
    pub(crate) fn left(&self) -> Vec<String> {
        let instances = self
            .instances
            .iter()
            .filter(|one| !one.tags.is_empty() && self.state(one) != "terminated");
        let instances = instances.map(|one| one.id.clone());
        let rules = self
            .rules
            .iter()
            .filter(|rule| !rule.tags.is_empty())
            .map(|rule| rule.arn.clone());
        let groups = self
            .groups
            .iter()
            .filter(|group| !group.tags.is_empty())
            .map(|group| group.arn.clone());
        let security = self.security_groups.iter().map(|group| group.id.clone());
        instances
            .chain(rules)
            .chain(groups)
            .chain(security)
            .chain(self.buckets.keys().cloned())
            .collect()
    }
}

/// An ARN of the seeded account's, of another load balancer.
pub(crate) fn other(arn: &str, number: usize) -> String {
    arn.replacen("/app/shop/", &format!("/app/other-{number}/"), 1)
        .replacen("/shop-web/", &format!("/other-{number}/"), 1)
}

/// Bucket and key of a presigned URL.
fn place(url: &str) -> (String, String) {
    let path = url.split("://").nth(1).unwrap().split_once('/').unwrap().1;
    let (bucket, key) = path.split('?').next().unwrap().split_once('/').unwrap();
    (bucket.to_owned(), key.to_owned())
}
