//! A world on paper: every step works at once, time passes when the test says so.

use std::collections::BTreeMap;
use std::time::Duration;

use arya_bundle::{ComposeFile, Description, Digest, ImageDescription, ImageEnvironment, Kind};
use arya_judge::{Timestamp, Verdict};
use arya_plan::assume::assume;
use arya_plan::cost::Prices;
use arya_plan::decide::decide;
use arya_plan::desired::{Actor, Change, Desired, ProbeSecret, Refusal};
use arya_plan::identity::{Arm, DeploymentId, InstallationId, LogicalId, Place, RuleKind};
use arya_plan::listener::{
    Action, Condition, Forward, GroupHealth, GroupId, GroupSettings, ListenerId, LoadBalancerId, Priority, Protocol,
    Rule, RuleId, Site, SiteGroup, TargetStickiness, TargetType, WeightedGroup,
};
use arya_plan::observed::{BootPhase, InstanceState, Observed, TargetState, Upload, UploadState};
use arya_plan::phase::Phase;
use arya_plan::plan::{Plan, Step, plan};
use arya_plan::preview::{Capabilities, FileFacts, Files, Preview, PreviewRequest, preview};
use arya_plan::problem::Severity;
use arya_plan::proof::{RestoreProof, restore_proof};
use arya_plan::seen::Seen;
use arya_plan::spec::Spec;
use arya_plan::surroundings::{Surroundings, Traffic};
use arya_plan::timing::Timing;

const ROUNDS_MAX: usize = 200;
const COMPOSE: &str = "services:\n  web:\n    image: charthealth/records:1\n    ports: [\"8080:8080\"]\n";

pub(crate) struct Paper {
    pub(crate) desired: Desired,
    pub(crate) world: Observed,
    pub(crate) seen: Seen,
    pub(crate) timing: Timing,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) main_rules_created: usize,
    before: Site,
    stuck_draining: bool,
}

pub(crate) fn image(name: &str, architecture: &str) -> FileFacts {
    let image = ImageDescription {
        references: vec![name.into()],
        architecture: architecture.into(),
        os: "linux".into(),
        variant: None,
        exposed_ports: vec![8080],
        env_names: vec![],
        env: ImageEnvironment::from_lines(&[]),
        entrypoint: vec!["/app".into()],
        cmd: vec![],
        working_dir: String::new(),
        user: String::new(),
        layers: vec![],
        image_id: Digest::of(name.as_bytes()),
    };
    let description = Description {
        kind: Kind::ImageArchive,
        images: vec![image],
        compose: None,
    };
    FileFacts {
        size: 1,
        description: Some(description),
    }
}

pub(crate) fn compose(text: &str) -> FileFacts {
    let compose = Some(ComposeFile::parse(text.as_bytes()).unwrap());
    let description = Description {
        kind: Kind::Compose,
        images: vec![],
        compose,
    };
    FileFacts {
        size: 1,
        description: Some(description),
    }
}

pub(crate) fn files() -> Files {
    Files::from([
        (Digest::of(b"old"), image("charthealth/records:1", "amd64")),
        (Digest::of(b"new"), image("charthealth/records:1", "amd64")),
        (Digest::of(b"compose"), compose(COMPOSE)),
        (Digest::of(b"referee"), image("referee:1", "amd64")),
    ])
}

pub(crate) fn spec() -> Spec {
    let (old, new, compose) = (Digest::of(b"old"), Digest::of(b"new"), Digest::of(b"compose"));
    Spec::parse(&serde_json::json!({
        "name": "emr-1.1", "listener": "web",
        "app": {"port": 8080, "health_check_path": "/health"},
        "baseline": {"image": old, "compose": compose},
        "canary": {"image": new, "compose": compose},
    }))
    .unwrap()
}

fn group(name: &str) -> (GroupId, SiteGroup) {
    let settings = GroupSettings {
        name: name.into(),
        target_type: TargetType::Instance,
        protocol: Protocol::Http,
        port: 80,
        deregistration_delay_s: 300,
        stickiness: TargetStickiness::Off,
    };
    (
        GroupId::new(name),
        SiteGroup {
            settings,
            health: GroupHealth {
                registered: 2,
                healthy: 2,
            },
        },
    )
}

fn forward(group: &str) -> Vec<Action> {
    let groups = vec![WeightedGroup {
        group: GroupId::new(group),
        weight: 1,
    }];
    vec![Action::Forward(Forward {
        groups,
        stickiness_s: None,
    })]
}

pub(crate) fn site() -> Site {
    let rule = |id: &str, priority, conditions| Rule {
        id: RuleId::new(id),
        priority,
        conditions,
        actions: forward("production"),
        transforms: vec![],
        owner: None,
    };
    let api = Condition::PathPattern {
        values: vec!["/api/*".into()],
    };
    Site {
        listener: ListenerId::new("web"),
        load_balancer: LoadBalancerId::new("lb"),
        load_balancer_name: "lb".into(),
        address: "http://lb".into(),
        port: 80,
        rules: vec![
            rule("api", Priority::At(10), vec![api]),
            rule("default", Priority::Default, vec![]),
        ],
        groups: BTreeMap::from([group("production")]),
    }
}

pub(crate) fn make_preview(spec: &Spec, sites: &[Site], files: &Files) -> Preview {
    preview_around(spec, sites, files, &Surroundings::default())
}

pub(crate) fn preview_around(spec: &Spec, sites: &[Site], files: &Files, surroundings: &Surroundings) -> Preview {
    preview(&PreviewRequest {
        id: DeploymentId::new(uuid::Uuid::from_u128(0xa11ce << 64)),
        installation: InstallationId::new(uuid::Uuid::from_u128(1)),
        spec,
        sites,
        surroundings,
        files,
        capabilities: &Capabilities {
            runnable: None,
            architectures: vec!["amd64".into()],
            protocols: vec![Protocol::Http],
            prices: Prices::Aws,
        },
        harmful_before: &[],
        live: &[],
        probe_secret: ProbeSecret::new("s3cret"),
        traffic_per_s: (surroundings.traffic == Traffic::Unasked).then_some(100.0),
        now: Timestamp::UNIX_EPOCH,
        timing: &Timing::AWS,
    })
}

impl Paper {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(edit: impl FnOnce(&mut Spec)) -> Self {
        let mut spec = spec();
        edit(&mut spec);
        let before = site();
        let plan = make_preview(&spec, std::slice::from_ref(&before), &files());
        let desired = plan.desired.unwrap_or_else(|| panic!("{:?}", plan.problems));
        Self {
            desired,
            world: Observed {
                site: Some(before.clone()),
                ..Observed::nothing(Timestamp::UNIX_EPOCH)
            },
            seen: Seen::default(),
            timing: Timing::AWS,
            verdict: None,
            main_rules_created: 0,
            before,
            stuck_draining: false,
        }
    }

    pub(crate) fn serving() -> Self {
        let mut paper = Self::new();
        paper.run_until_quiet();
        assert_eq!(paper.phase(), Phase::Serving);
        paper
    }

    /// One tick of the loop: look, decide, plan. Applies nothing.
    fn decide_and_plan(&mut self) -> Plan {
        self.seen.look(&self.desired, &self.world);
        while let Some((change, actor)) = decide(
            &self.desired,
            &self.world,
            &self.seen,
            &self.timing,
            self.verdict.as_ref(),
        ) {
            assert_eq!(
                self.desired.apply(&change, &actor, self.world.at),
                Ok(true),
                "{change:?} changes nothing"
            );
        }
        plan(&self.desired, &self.world, &self.seen, &self.timing)
    }

    pub(crate) fn look(&mut self) -> Plan {
        self.decide_and_plan()
    }

    /// One tick with its effects; two seconds pass.
    pub(crate) fn round(&mut self) -> Vec<Step> {
        let plan = self.decide_and_plan();
        for step in &plan.steps {
            self.apply(step);
        }
        self.pass_time(Duration::from_secs(2));
        plan.steps
    }

    fn apply(&mut self, step: &Step) {
        if let (true, Step::DeregisterTarget { arm, .. }) = (self.stuck_draining, step) {
            self.target_health(*arm, TargetState::Draining);
            return;
        }
        if matches!(
            step,
            Step::CreateRule {
                kind: RuleKind::Main,
                ..
            }
        ) {
            self.main_rules_created += 1;
        }
        assume(&self.desired, &mut self.world, step);
    }

    /// Applies this many single steps, looking anew after each.
    pub(crate) fn run_steps(&mut self, count: usize) {
        for _ in 0..count {
            let plan = self.decide_and_plan();
            if let Some(step) = plan.steps.first() {
                self.apply(step);
            }
            self.pass_time(Duration::from_secs(2));
        }
    }

    /// Until two minutes bring no step; quiet must then be stable.
    pub(crate) fn run_until_quiet(&mut self) {
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            quiet = if self.round().is_empty() { quiet + 1 } else { 0 };
            if quiet > 60 {
                return;
            }
        }
        panic!("not quiet after {ROUNDS_MAX} rounds: {:?}", self.look());
    }

    pub(crate) fn pass_time(&mut self, time: Duration) {
        self.world.at = self.world.at.checked_add(time).unwrap();
        self.seen.look(&self.desired, &self.world);
    }

    pub(crate) fn phase(&mut self) -> Phase {
        plan(&self.desired, &self.world, &self.seen, &self.timing).phase
    }

    pub(crate) fn try_change(&mut self, change: Change) -> Result<bool, Refusal> {
        self.desired.apply(&change, &Actor::Person("Ana".into()), self.world.at)
    }

    pub(crate) fn change(&mut self, change: Change) {
        assert_eq!(self.try_change(change), Ok(true));
    }

    fn site_mut(&mut self) -> &mut Site {
        self.world.site.as_mut().unwrap()
    }

    /// What a blue/green deploy of production does: its rules move to another group, the old one empties.
    pub(crate) fn swap_production(&mut self) {
        let (id, green) = group("green");
        let site = self.site_mut();
        site.groups.insert(id, green);
        for rule in site.rules.iter_mut().filter(|rule| rule.owner.is_none()) {
            rule.actions = forward("green");
        }
        self.production_health(0);
    }

    pub(crate) fn production_health(&mut self, healthy: u32) {
        let group = self.site_mut().groups.get_mut(&GroupId::new("production")).unwrap();
        group.health.healthy = healthy;
    }

    pub(crate) fn target_health(&mut self, arm: Arm, state: TargetState) {
        let group = self.world.groups.get_mut(&arm).unwrap();
        group.targets.iter_mut().for_each(|target| target.health.state = state);
    }

    pub(crate) fn one_target_health(&mut self, arm: Arm, state: TargetState) {
        self.world.groups.get_mut(&arm).unwrap().targets[0].health.state = state;
    }

    pub(crate) fn both_healthy(&self) -> bool {
        let targets = |arm| self.world.groups.get(&arm).map_or(&[][..], |group| &group.targets);
        Arm::BOTH
            .into_iter()
            .all(|arm| !targets(arm).is_empty() && targets(arm).iter().all(|t| t.health.state == TargetState::Healthy))
    }

    pub(crate) fn stuck_draining(&mut self) {
        self.stuck_draining = true;
    }

    pub(crate) fn end_instance(&mut self, place: Place) {
        let wanted = self.desired.incarnation(place);
        for instance in &mut self.world.instances {
            if instance.place == place && instance.incarnation == wanted {
                instance.state = InstanceState::Terminated;
                instance.ended_because = Some("no room in the zone".into());
            }
        }
        let targets = self.world.groups.values_mut().flat_map(|group| &mut group.targets);
        for target in targets.filter(|target| (target.place, target.incarnation) == (place, wanted)) {
            target.health.state = TargetState::Unused;
        }
    }

    pub(crate) fn boot(&mut self, place: Place, phase: BootPhase, tail: Option<&str>) {
        let instance = self.world.instances.iter_mut().find(|i| i.place == place).unwrap();
        let report = instance.report.as_mut().unwrap();
        report.phase = phase;
        report.tail = tail.map(str::to_owned);
    }

    pub(crate) fn edit_main_weights(&mut self, edit: impl FnOnce(&mut [u16])) {
        let ours = LogicalId::Rule(RuleKind::Main);
        let is_main = |rule: &&mut Rule| rule.owner.as_ref().is_some_and(|owner| owner.logical_id == ours);
        let rule = self.site_mut().rules.iter_mut().find(is_main).unwrap();
        let Some(Action::Forward(forward)) = rule.actions.last_mut() else {
            panic!("the main rule forwards")
        };
        let mut weights: Vec<u16> = forward.groups.iter().map(|g| g.weight).collect();
        edit(&mut weights);
        forward
            .groups
            .iter_mut()
            .zip(weights)
            .for_each(|(group, weight)| group.weight = weight);
    }

    pub(crate) fn fail_uploads(&mut self, why: &str) {
        for digest in files().into_keys() {
            let state = UploadState::Failed(why.into());
            self.world.uploads.insert(
                digest,
                Upload {
                    sent: 0,
                    size: 1,
                    state,
                },
            );
        }
    }

    pub(crate) fn delete_our_rule(&mut self, kind: RuleKind) {
        let ours = LogicalId::Rule(kind);
        self.site_mut()
            .rules
            .retain(|rule| rule.owner.as_ref().is_none_or(|owner| owner.logical_id != ours));
    }

    pub(crate) fn strangers(&self) -> Vec<Rule> {
        let rules = &self.world.site.as_ref().unwrap().rules;
        rules.iter().filter(|rule| rule.owner.is_none()).cloned().collect()
    }

    pub(crate) fn nothing_of_ours(&self) -> bool {
        let world = &self.world;
        world
            .site
            .as_ref()
            .unwrap()
            .rules
            .iter()
            .all(|rule| rule.owner.is_none())
            && !world.bucket
            && world.groups.is_empty()
            && world.security_groups.is_empty()
            && world.instances.iter().all(|i| i.state == InstanceState::Terminated)
    }

    pub(crate) fn proof(&self) -> RestoreProof {
        restore_proof(&self.desired.id, &self.before, self.world.site.as_ref())
    }
}

/// The plan has the problem, says these words, and is stopped by it unless it is only a note.
pub(crate) fn has_problem(preview: &Preview, name: &str, severity: Severity, words: &[&str]) {
    let problem = preview.problems.iter().find(|p| p.name == name);
    let problem = problem.unwrap_or_else(|| panic!("no {name} in {:?}", preview.problems));
    assert_eq!(problem.severity, severity);
    for word in words {
        assert!(
            problem.sentence.contains(word),
            "{word:?} is not in {:?}",
            problem.sentence
        );
    }
    assert!(!problem.next.is_empty());
    assert_eq!(preview.desired.is_none(), severity != Severity::Note);
}
