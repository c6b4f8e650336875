//! Changing: plans, new deployments, edits of the desired state. Every change is stored by the engine before it acts.

use arya_engine::{CreateError, SubmitError, Summary};
use arya_judge::Timestamp;
use arya_plan::cloud::CloudError;
use arya_plan::decide::forbids;
use arya_plan::desired::{Actor, Change, ProbeSecret, Refusal};
use arya_plan::identity::DeploymentId;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::listener::{RuleId, Site};
use arya_plan::preview::{HarmfulPair, LiveDeployment, Preview, PreviewRequest, chosen_rule, preview};
use arya_plan::spec::{SAME_AS_PRODUCTION, Spec};
use arya_plan::surroundings::Surroundings;
use axum::http::StatusCode;

use super::App;
use super::ask::cloud_problem;
use crate::api::documents::{DeploymentDocument, PlanDocument};
use crate::api::input::SpecBody;
use crate::api::problem::Problem;
use crate::auth::{Caller, secret};
use crate::world::Look;

impl App {
    /// The plan for a spec. Touches nothing.
    pub(crate) async fn plan(&self, spec: &Spec) -> Result<PlanDocument, Problem> {
        let (preview, as_of) = self.preview(spec, Look::Last).await?;
        Ok(PlanDocument::of(&preview, &spec.acknowledged, as_of))
    }

    /// The plan by what its connection shows, and when that was seen.
    async fn preview(&self, spec: &Spec, look: Look) -> Result<(Preview, Timestamp), Problem> {
        let sighting = self.world.sighting(spec, look, self.now()).await;
        let sighting = sighting.map_err(cloud_problem)?;
        let as_of = sighting.as_of.unwrap_or_else(|| self.now());
        let sites = sighting.sites;
        let (spec, unresolved) = self.resolved(spec, &sites, look).await;
        let (surroundings, unread) = as_far_as_read(self.around(&spec, &sites).await, look).map_err(cloud_problem)?;
        let app = self.clone();
        let harmful_before = self.harmful_before()?;
        let live = self.live()?;
        let id = self.engine.new_id().map_err(|error| Problem::internal(&error))?;
        let probe_secret = secret().map_err(|error| Problem::internal(&error))?;
        let work = move || {
            let made = preview(&PreviewRequest {
                id,
                installation: app.engine.installation(),
                spec: &spec,
                sites: &sites,
                surroundings: &surroundings,
                files: &app.artifacts.facts(spec.digests(), app.now().into()),
                capabilities: &app.world.capabilities(&spec),
                harmful_before: &harmful_before,
                live: &live,
                probe_secret: ProbeSecret::new(probe_secret),
                traffic_per_s: rule_in_front(&spec, &sites).and_then(|rule| app.world.traffic_per_s(rule, app.now())),
                now: app.now(),
                timing: &app.settings.timing,
            });
            (without_surroundings(without_words(made, unresolved), unread), as_of)
        };
        // Files that were not described since the start are read here.
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|panic| Problem::internal(&panic))
    }

    /// Of a listener that is not there nothing is asked.
    async fn around(&self, spec: &Spec, sites: &[Site]) -> Result<Surroundings, CloudError> {
        match sites.iter().find(|site| site.listener == spec.listener) {
            Some(site) => self.world.surroundings(spec, site).await,
            None => Ok(Surroundings::default()),
        }
    }

    /// The spec with nothing left to choose, or as it was with the reason. Of a listener that is not there nothing is asked.
    async fn resolved(&self, spec: &Spec, sites: &[Site], look: Look) -> (Spec, Option<CloudError>) {
        if !sites.iter().any(|site| site.listener == spec.listener) {
            return (spec.clone(), None);
        }
        match self.world.resolve(spec, look).await {
            Ok(resolved) => (resolved, None),
            Err(error) => (spec.clone(), Some(error)),
        }
    }

    fn harmful_before(&self) -> Result<Vec<HarmfulPair>, Problem> {
        self.engine.harmful_pairs().map_err(|error| Problem::internal(&error))
    }

    fn live(&self) -> Result<Vec<LiveDeployment>, Problem> {
        let live = |summary: Summary| LiveDeployment {
            id: summary.id,
            name: summary.name,
            in_front_of: summary.desired.placement.chosen,
        };
        Ok(self.open_deployments()?.into_iter().map(live).collect())
    }

    /// Starts a deployment, unless the plan that the person saw is stale or something blocks.
    pub(crate) async fn deploy(&self, body: SpecBody, caller: &Caller) -> Result<DeploymentDocument, Problem> {
        let (preview, as_of) = self.preview(&body.spec, Look::Fresh).await?;
        // A plan with nowhere to stand has no digest; what blocks it says more than that it changed.
        let seen = body.plan_digest.as_ref().filter(|_| !preview.digest.is_empty());
        if seen.is_some_and(|seen| *seen != preview.digest) {
            return Err(stale(&preview));
        }
        let plan = PlanDocument::of(&preview, &body.spec.acknowledged, as_of);
        let (Some(desired), Some(before)) = (preview.desired, preview.before) else {
            return Err(blocked(&plan));
        };
        let id = desired.id;
        self.engine
            .create(&desired, &before, &person(caller))
            .map_err(create_problem)?;
        self.deployment(&id)
    }

    /// Sets the share of matching traffic that canary and baseline each get.
    pub(crate) fn set_share(
        &self,
        id: &DeploymentId,
        percent: f64,
        caller: &Caller,
    ) -> Result<DeploymentDocument, Problem> {
        let canary_percent = CanaryPercent::new(percent).map_err(|error| {
            Problem::invalid(format!(
                "{}. The share was left as it is.",
                arya_judge::capitalised(&error.to_string())
            ))
            .at("canary_percent")
            .next("Choose a share from 0 to 50.")
        })?;
        let report = self.report(id)?;
        if let Some(observed) = &report.observed
            && let Some(reason) = forbids(&report.desired, observed, canary_percent)
        {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "share-forbidden",
                format!("{reason} The share was left as it is."),
            )
            .next("Destroy it and plan anew, or bring things back to what the plan showed."));
        }
        self.submit(id, Change::SetShare { canary_percent }, caller)
    }

    /// From any state, at any second; twice is once.
    pub(crate) fn destroy(&self, id: &DeploymentId, caller: &Caller) -> Result<DeploymentDocument, Problem> {
        let closed = self.report(id)?.closed_at.is_some();
        if closed {
            self.deployment(id)
        } else {
            self.submit(id, Change::Destroy, caller)
        }
    }

    /// A person overrules *harmful*, with a reason that is kept.
    pub(crate) fn overrule(
        &self,
        id: &DeploymentId,
        reason: String,
        caller: &Caller,
    ) -> Result<DeploymentDocument, Problem> {
        self.submit(id, Change::Overrule { reason }, caller)
    }

    fn submit(&self, id: &DeploymentId, change: Change, caller: &Caller) -> Result<DeploymentDocument, Problem> {
        match self.engine.submit(id, &change, &person(caller)) {
            Ok(_) => self.deployment(id),
            // It closed between the look and the edit: what was asked is so.
            Err(SubmitError::Closed) if change == Change::Destroy => self.deployment(id),
            Err(error) => Err(submit_problem(error)),
        }
    }
}

/// A plan with words in it that stand for nothing now cannot be applied.
fn without_words(mut made: Preview, unresolved: Option<CloudError>) -> Preview {
    if let Some(error) = unresolved {
        let problem = arya_plan::problem::Problem::blocks(SAME_AS_PRODUCTION, error.what, error.next);
        made.problems.push(problem.at("instances"));
        made.desired = None;
    }
    made
}

/// What was read, else why not. Nothing is started by what was not read.
fn as_far_as_read(
    around: Result<Surroundings, CloudError>,
    look: Look,
) -> Result<(Surroundings, Option<CloudError>), CloudError> {
    match around {
        Ok(read) => Ok((read, None)),
        Err(error) if look == Look::Last => Ok((Surroundings::default(), Some(error))),
        Err(error) => Err(error),
    }
}

/// A plan that does not know what stands around it cannot be applied.
fn without_surroundings(mut made: Preview, unread: Option<CloudError>) -> Preview {
    if let Some(error) = unread {
        made.problems.push(not_read(error));
        made.desired = None;
    }
    made
}

fn not_read(error: CloudError) -> arya_plan::problem::Problem {
    let sentence = format!(
        "What stands around the listener could not be read, so missing rights, other owners of its rules, subnets and \
         the end of the credentials are not in this plan: {}",
        error.what
    );
    let next = if error.next.is_empty() {
        "Plan again in a moment.".to_owned()
    } else {
        error.next
    };
    arya_plan::problem::Problem::blocks("surroundings_unread", sentence, next)
}

/// The rule that the spec stands in front of, where there is one.
fn rule_in_front<'s>(spec: &Spec, sites: &'s [Site]) -> Option<&'s RuleId> {
    let site = sites.iter().find(|site| site.listener == spec.listener)?;
    chosen_rule(site, spec).map(|rule| &rule.id)
}

fn person(caller: &Caller) -> Actor {
    Actor::Person(caller.name.clone())
}

fn stale(preview: &Preview) -> Problem {
    let kind = "plan-stale";
    let detail = "The rule you chose, one of its groups or an earlier overlapping rule changed since you saw the plan. \
                  Nothing was created.";
    let mut problem = Problem::new(StatusCode::CONFLICT, kind, detail).at("plan_digest");
    problem.problems = Some(Box::new(serde_json::json!([{ "digest": preview.digest }])));
    problem.next("Make the plan again (POST /api/v1/plans), look at it, and apply that one.")
}

fn blocked(plan: &PlanDocument) -> Problem {
    let blocking = || plan.problems.iter().filter(|problem| problem.blocking);
    let sentences: Vec<&str> = blocking().map(|problem| problem.sentence.as_str()).collect();
    let detail = format!("{} Nothing was created.", sentences.join(" "));
    let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "plan-blocked", detail);
    problem.field = blocking().find_map(|problem| problem.field.clone());
    problem.next = blocking().next().map(|problem| problem.next.clone());
    problem.problems = Some(Box::new(blocking().map(|problem| serde_json::json!(problem)).collect()));
    problem
}

fn create_problem(error: CreateError) -> Problem {
    let conflict = |kind, error: &CreateError| Problem::new(StatusCode::CONFLICT, kind, error.to_string());
    match &error {
        CreateError::NameTaken { .. } => conflict("name-taken", &error).at("name").next("Choose another name."),
        CreateError::InFrontTaken { .. } => conflict("in-front-taken", &error)
            .at("in_front_of")
            .next("Destroy that deployment first, or choose another rule."),
        CreateError::IdTaken => conflict("id-taken", &error).next("Try again."),
        CreateError::TooMany { .. } => conflict("too-many", &error).next("Destroy a deployment first."),
        CreateError::ShuttingDown => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "shutting-down", error.to_string())
            .next("Try again once it runs."),
        CreateError::Store(inner) => Problem::internal(inner),
    }
}

fn submit_problem(error: SubmitError) -> Problem {
    match error {
        SubmitError::Unknown(id) => Problem::not_found(&format!("deployment with the id `{id}`")),
        SubmitError::Closed => {
            Problem::new(StatusCode::CONFLICT, "closed", error.to_string()).next("Start a new deployment.")
        }
        SubmitError::Refused(refusal) => refused(&refusal),
        SubmitError::Store(inner) => Problem::internal(&inner),
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let conflict = |next: &str| Problem::new(StatusCode::CONFLICT, "refused", refusal.to_string()).next(next);
    let invalid = |field: &str, next: &str| Problem::invalid(refusal.to_string()).at(field).next(next);
    match refusal {
        Refusal::Destroying | Refusal::Failed { .. } => conflict("Destroy it, and start a new deployment."),
        Refusal::Harmful { .. } => conflict("Overrule the verdict with a reason first, or destroy the deployment."),
        Refusal::NothingToOverrule => conflict("Nothing needs to be done."),
        Refusal::ReasonMissing => invalid("reason", "Say why in 3 to 500 characters."),
        Refusal::ProductionZero => invalid("canary_percent", "Choose less than 50."),
        Refusal::Share(_) => invalid("canary_percent", "Choose a share that weights of 0 to 999 can express."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread() -> Result<Surroundings, CloudError> {
        Err(CloudError::not_yet("The connection `shop` was silent for 30 s."))
    }

    #[test]
    fn nothing_is_started_by_surroundings_that_were_not_read() {
        let error = as_far_as_read(unread(), Look::Fresh)
            .map_err(cloud_problem)
            .unwrap_err();
        assert_eq!(error.status, 502);
        assert!(
            error.detail.contains("was silent for 30 s. Nothing was changed."),
            "{}",
            error.detail
        );
        assert!(error.next.is_some_and(|next| !next.is_empty()));
    }

    #[test]
    fn a_plan_says_that_its_surroundings_were_not_read_and_is_stopped_by_it() {
        let (around, why) = as_far_as_read(unread(), Look::Last).unwrap();
        assert_eq!(around, Surroundings::default());
        let problem = not_read(why.unwrap());
        assert!(problem.stops(std::slice::from_ref(&problem.name)));
        assert!(problem.sentence.contains("was silent for 30 s"), "{}", problem.sentence);
        assert!(!problem.next.is_empty());
        let read = as_far_as_read(Ok(Surroundings::default()), Look::Last).unwrap();
        assert_eq!(read.1, None);
    }
}
