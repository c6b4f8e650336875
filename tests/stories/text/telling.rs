//! Telling a story: the real reconciler and the real store on the simulated cloud, looked at in the rhythm that its plans
//! ask for, with what a person would read in the order of its times.

use std::sync::Arc;
use std::time::Duration;

use arya_engine::{Clock, EVENTS_AT_ONCE, EngineSettings, Reconciler, Report, Store, StoredDeployment};
use arya_judge::{JudgeConfig, MetricConfig, Timestamp};
use arya_local::world::{
    At, CallKind, Counted, Effect, Entry, Fault, Happened, Node, Pace, Settings, Visit, World, ground,
};
use arya_plan::decide::forbids;
use arya_plan::desired::{Actor, Change, Desired};
use arya_plan::identity::{DeploymentId, RuleKind};
use arya_plan::listener::{Rule, RuleId, Site};
use arya_plan::phase::Phase;
use arya_plan::plan::Step;
use arya_plan::timing::Timing;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::acts::Act;
use crate::process::{self, Looked};
use crate::script::{Line, Start, What};

/// How long a server that died stays away.
const RESTART: Duration = Duration::from_secs(2);
/// A wait that takes longer is a wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// A story while it is told.
pub(crate) struct Telling {
    pub(crate) world: World,
    pub(crate) timing: Timing,
    store: Arc<Store>,
    runtime: Runtime,
    /// `None` = it was stopped.
    server: Option<Reconciler<World, World>>,
    pub(crate) deployments: Vec<Told>,
    /// What a person reads, and between it what happened (`>`).
    pub(crate) feed: Vec<String>,
    pub(crate) before: Site,
    /// The rules of others as others left them.
    strangers: Vec<Rule>,
    others: Others,
    pub(crate) looks: u32,
    begun_at: Timestamp,
    heard: u64,
    /// Everything is destroyed before this look, whatever the script says.
    pub(crate) cut_before: Option<u32>,
    /// Told of by more than one deployment's name.
    several: Several,
}

/// Whether others, or accidents, have had a hand in the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    KeptOut,
    CameIn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Several {
    Yes,
    No,
}

/// One deployment in it.
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) id: DeploymentId,
    chosen: RuleId,
    pub(crate) report: Option<Box<Report>>,
    next_look: Timestamp,
}

impl Told {
    /// A path that its rule is for.
    pub(crate) fn path(&self) -> &'static str {
        if self.chosen.as_str() == "images" {
            "/images/cat"
        } else {
            "/"
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.closed_at.is_some())
    }
}

impl Telling {
    /// A fresh cloud with a listener of production's, at the pace of AWS if the script does not say otherwise, and a server that looks after nothing yet.
    pub(crate) fn new(lines: &[Line], faults: Vec<Fault>) -> Self {
        let is_quick = lines.iter().any(|line| line.what == What::Quick);
        let (pace, timing) = if is_quick {
            (Pace::TRY, Timing::TRY)
        } else {
            (Pace::AWS, Timing::AWS)
        };
        let world = World::new(Settings {
            pace,
            faults,
            beside: Counted::ProductionToo,
            ..Settings::default()
        });
        let starts = lines.iter().filter(|line| matches!(line.what, What::Start(_)));
        let mut telling = Self {
            timing,
            store: Arc::new(Store::in_memory().unwrap()),
            runtime: process::runtime(),
            server: None,
            deployments: Vec::new(),
            feed: Vec::new(),
            before: world.site().unwrap(),
            strangers: world.strangers_rules(),
            others: Others::KeptOut,
            looks: 0,
            begun_at: world.now(),
            heard: 0,
            cut_before: None,
            several: if starts.count() > 1 { Several::Yes } else { Several::No },
            world,
        };
        telling.serve();
        telling
    }

    /// Does what the lines say, one after the other, and checks what they claim.
    pub(crate) fn play(&mut self, lines: &[Line]) -> Result<(), String> {
        for line in lines {
            if self.is_cut() {
                break;
            }
            self.act(line)
                .map_err(|problem| format!("`{}`: {problem}", line.words))?;
        }
        while self.deployments.iter().any(|told| !told.is_closed()) && self.is_cut() {
            self.look()?;
        }
        Ok(())
    }

    fn act(&mut self, line: &Line) -> Result<(), String> {
        match &line.what {
            What::Start(start) => self.start(start)?,
            What::Ask { who, name, change } => self.ask(&line.words, who, name, change)?,
            What::Wait { name, until } => self.wait(name, *until)?,
            What::Pass(time) => self.pass(*time)?,
            What::Happen { act, of } => {
                self.mark(&line.words);
                self.happen(*act, of.as_deref())?;
            }
            What::Call(call, kind) => {
                self.mark(&line.words);
                let at = At::Nth(*call, self.world.calls_of(*call));
                self.world.fault(Fault { at, kind: *kind });
            }
            What::ServerStops => {
                self.mark(&line.words);
                self.server = None;
            }
            What::ServerStarts => {
                self.mark(&line.words);
                self.serve();
            }
            What::Then { check, of } => {
                let at = self.number(of.as_deref())?;
                crate::ending::holds(self, at, check)?;
            }
            What::Same(_) | What::Quick => {}
        }
        self.tell();
        Ok(())
    }

    /// A server that knows what is stored, and nothing else.
    fn serve(&mut self) {
        let metric = MetricConfig {
            known_dispersion: Some(1.0),
            ..MetricConfig::error_share("error share", "answers with status 500 to 599")
        };
        let judge = JudgeConfig {
            metrics: vec![metric],
            ..JudgeConfig::default()
        };
        let clock = self.world.clone();
        let settings = EngineSettings {
            clock: Clock::driven(move || clock.now()),
            ..EngineSettings::new(self.timing.clone(), judge)
        };
        self.world.restart();
        let (store, world) = (self.store.clone(), self.world.clone());
        self.server = Some(Reconciler::new(store, world.clone(), world, settings));
        let now = self.world.now();
        for told in &mut self.deployments {
            told.next_look = now;
        }
    }

    fn start(&mut self, start: &Start) -> Result<(), String> {
        let (site, at) = (self.world.site().ok_or("there is no listener")?, self.world.now());
        let chosen = RuleId::new(start.chosen.as_str());
        let spec = ground::spec(&json!({
            "name": start.name,
            "canary_percent": start.share.percent(),
            "lifetime_h": start.lifetime_h,
            "in_front_of": start.chosen,
            "analysis": {"on_harmful": start.on_harmful, "aa_spell_s": 60 * start.spell_min},
            "instances": {"per_arm": start.per_arm},
        }));
        let number = self.deployments.len() as u64 + 1;
        let desired = ground::desired(number, self.store.installation(), spec, &site, &chosen, at);
        let mut desired = desired.map_err(|problems| format!("{problems:?}"))?;
        let lifetime = Duration::from_secs(u64::from(start.lifetime_h) * 3600);
        desired.expires_at = at.checked_add(lifetime).unwrap();
        let by = Actor::Person(start.who.clone());
        let created = self.store.create(&desired, &site, &by, at);
        created.map_err(|error| error.to_string())?;
        self.deployments.push(Told {
            name: start.name.clone(),
            id: desired.id,
            chosen,
            report: None,
            next_look: at,
        });
        Ok(())
    }

    /// As the page does: what the last look forbids is refused, the rest is stored and wakes the loop.
    fn ask(&mut self, words: &str, who: &str, name: &str, change: &Change) -> Result<(), String> {
        let at = self.number(Some(name))?;
        let report = self.deployments[at].report.as_deref();
        let seen = report.and_then(|report| Some((&report.desired, report.observed.as_ref()?)));
        let forbidden = match (change, seen) {
            (Change::SetShare { canary_percent }, Some((desired, observed))) => {
                forbids(desired, observed, *canary_percent)
            }
            _ => None,
        };
        let (id, now) = (self.deployments[at].id, self.world.now());
        let answer = match forbidden {
            Some(reason) => Err(format!("{reason} The share was left as it is.")),
            None => {
                let edited = self.store.edit(&id, change, &Actor::Person(who.to_owned()), now);
                edited.map(|_| ()).map_err(|error| error.to_string())
            }
        };
        match answer {
            Ok(()) => self.deployments[at].next_look = now,
            Err(why) => {
                self.mark(words);
                self.mark(&format!("refused: {why}"));
            }
        }
        Ok(())
    }

    fn wait(&mut self, name: &str, until: Phase) -> Result<(), String> {
        let at = self.number(Some(name))?;
        let begun = self.world.now();
        loop {
            let told = &self.deployments[at];
            let phase = told.report.as_ref().map(|report| report.phase);
            // What was asked since the last look is looked at first.
            if phase == Some(until) && told.next_look > self.world.now() {
                return Ok(());
            }
            if self.is_cut() || (told.is_closed() && phase == Some(until)) {
                return Ok(());
            }
            let waited = Duration::try_from(self.world.now().duration_since(begun)).unwrap_or_default();
            if waited > PATIENCE || told.is_closed() {
                let phase = phase.map_or("not looked at", Phase::as_str);
                return Err(format!("it is {phase} after {} s", waited.as_secs()));
            }
            self.look()?;
        }
    }

    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = self.world.now().checked_add(time).unwrap();
        while !self.is_cut() && self.next().is_some_and(|at| self.deployments[at].next_look <= end) {
            self.look()?;
        }
        self.advance_to(end);
        Ok(())
    }

    fn happen(&mut self, act: Act, of: Option<&str>) -> Result<(), String> {
        let desired = self.stored(self.number(of)?).desired;
        let happened = match act {
            Act::Edit(edit) => self.world.edit(&desired, edit),
            Act::Mishap(mishap) => self.world.mishap(&desired, mishap),
        };
        self.strangers = self.world.strangers_rules();
        self.others = Others::CameIn;
        match happened {
            Happened::Yes => Ok(()),
            Happened::No => Err("there is nothing that it could happen to".into()),
        }
    }

    /// The deployment whose look is due first, if anybody looks at all.
    fn next(&self) -> Option<usize> {
        self.server.as_ref()?;
        let open = self
            .deployments
            .iter()
            .enumerate()
            .filter(|(_, told)| !told.is_closed());
        open.min_by_key(|(_, told)| told.next_look).map(|(at, _)| at)
    }

    /// Time passes until the next look is due, and it is taken.
    fn look(&mut self) -> Result<(), String> {
        let at = self
            .next()
            .ok_or("nobody looks: the server is stopped, or nothing is left to look at")?;
        if self.cut_before == Some(self.looks) {
            for told in &self.deployments {
                let ana = Actor::Person("Ana".into());
                let asked = self.store.edit(&told.id, &Change::Destroy, &ana, self.world.now());
                asked.map_err(|error| error.to_string())?;
            }
        }
        self.looks += 1;
        self.advance_to(self.deployments[at].next_look);
        let server = self.server.as_ref().ok_or("the server is stopped")?;
        let looked = process::look(&self.runtime, server, &self.world, &self.deployments[at].id);
        self.tell();
        match looked.map_err(|error| error.to_string())? {
            Looked::Report(report) => {
                let pause = report
                    .plan
                    .as_ref()
                    .map_or(self.timing.look_moving, |plan| plan.look_again_in);
                self.deployments[at].next_look = self.world.now().checked_add(pause).unwrap();
                self.deployments[at].report = Some(report);
            }
            Looked::Died => {
                self.mark("the server dies");
                self.world.advance(RESTART);
                self.mark("a new server starts");
                self.serve();
            }
        }
        self.keeps_to_itself()
    }

    /// What holds at every moment of every story.
    fn keeps_to_itself(&self) -> Result<(), String> {
        if self.world.strangers_rules() != self.strangers {
            return Err("a rule of others was changed".into());
        }
        for told in &self.deployments {
            let request = Visit::get(told.path());
            let nodes = Node::ALL
                .into_iter()
                .flat_map(|node| self.world.shares(&request.at(node)));
            if let Some(part) = nodes.into_iter().find(|part| !part.is_served())
                && self.others == Others::KeptOut
            {
                return Err(format!("users are not served: {part:?}"));
            }
        }
        let owners = self.world.owners();
        match owners
            .iter()
            .enumerate()
            .find(|(at, owner)| owners[..*at].contains(owner))
        {
            Some((_, twice)) => Err(format!("it stands twice: {twice:?}")),
            None => Ok(()),
        }
    }

    fn is_cut(&self) -> bool {
        self.cut_before.is_some_and(|look| self.looks > look)
    }

    fn advance_to(&self, then: Timestamp) {
        if let Ok(left) = Duration::try_from(then.duration_since(self.world.now())) {
            self.world.advance(left);
        }
    }

    pub(crate) fn number(&self, of: Option<&str>) -> Result<usize, String> {
        let named = |told: &Told| of.is_none_or(|name| told.name == name);
        let found = self.deployments.iter().position(named);
        found.ok_or_else(|| "there is no such deployment yet".into())
    }

    pub(crate) fn stored(&self, at: usize) -> StoredDeployment {
        let stored = self.store.deployment(&self.deployments[at].id).unwrap();
        stored.expect("a deployment is never forgotten")
    }

    pub(crate) fn desired(&self, at: usize) -> Desired {
        self.stored(at).desired
    }

    /// How often the main rule of a deployment came to be.
    pub(crate) fn main_rules_made(&self, at: usize) -> usize {
        let main = |entry: &&Entry| {
            let kind = RuleKind::Main;
            matches!(&*entry.step, Step::CreateRule { kind: made, .. } if *made == kind)
        };
        let done = self
            .world
            .journal()
            .into_iter()
            .filter(|entry| entry.effect == Effect::Done);
        let ours: Vec<Entry> = done
            .filter(|entry| entry.deployment == self.deployments[at].id)
            .collect();
        ours.iter().filter(main).count()
    }

    /// The kind of each call that was made, in their order.
    pub(crate) fn calls(&self) -> Vec<CallKind> {
        let journal = self.world.journal();
        let kind = |number: u32| {
            let step = journal.iter().find(|entry| entry.call == number);
            step.map_or(CallKind::Look, |entry| CallKind::of(&entry.step))
        };
        (0..self.world.calls()).map(kind).collect()
    }

    /// What was written since the last time goes into the feed.
    fn tell(&mut self) {
        let mut news = Vec::new();
        for told in &self.deployments {
            let events = self.store.events(&told.id, self.heard, EVENTS_AT_ONCE).unwrap();
            news.extend(events.into_iter().map(|event| (event, told.name.as_str())));
        }
        news.sort_by_key(|(event, _)| event.seq);
        for (event, name) in news {
            self.heard = event.seq;
            let whose = match self.several {
                Several::Yes => format!("[{name}] "),
                Several::No => String::new(),
            };
            let line = format!("{}  {whose}{}", self.time(event.at), event.sentence);
            self.feed.push(line);
        }
    }

    fn mark(&mut self, words: &str) {
        let line = format!("{}  > {words}", self.time(self.world.now()));
        self.feed.push(line);
    }

    fn time(&self, at: Timestamp) -> String {
        format!("{:>8.1} s", at.duration_since(self.begun_at).as_secs_f64())
    }
}
