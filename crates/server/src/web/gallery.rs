//! Every page in the states that matter, rendered from fixtures. `ARYA_GALLERY=DIR cargo test gallery` also writes them
//! to files, to be looked at in a browser.

use arya_judge::Outcome;
use arya_plan::phase::Phase;
use askama::Template;

use super::fixtures::{self as fx, HOSTILE};
use super::form::{NewForm, Problems};
use super::pages::connect::ConnectPage;
use super::pages::deployment::{DeploymentPage, Sources, Versions};
use super::pages::destroy::DestroyPage;
use super::pages::home::HomePage;
use super::pages::login::LoginPage;
use super::pages::new::{Filled, NewPage};
use super::pages::plan::PlanPanel;
use super::pages::report::ReportPage;

fn deployment_page(document: &crate::api::documents::DeploymentDocument, outcome: Outcome) -> String {
    let verdict = fx::verdict(outcome);
    let events = fx::events(HOSTILE);
    let versions = Versions {
        baseline: "sample:1.0".into(),
        canary: "sample:1.1".into(),
    };
    let sources = Sources {
        deployment: document,
        verdict: &verdict,
        events: &events,
        versions: &versions,
    };
    DeploymentPage::of(&fx::around(), &sources, None).render().unwrap()
}

fn new_page(document: Option<serde_json::Value>) -> String {
    let form = document.as_ref().map_or_else(NewForm::empty, NewForm::of_document);
    let (_, problems) = form.document();
    let plan = document.is_some().then(|| PlanPanel::of(&fx::plan(), 4.0));
    let problems = if document.is_some() {
        problems
    } else {
        Problems::default()
    };
    let filled = Filled {
        form,
        problems,
        plan,
        refused: None,
    };
    NewPage::of(&fx::around(), &fx::listeners(), filled, &fx::artifact)
        .render()
        .unwrap()
}

/// Name and HTML of every page.
pub(crate) fn pages() -> Vec<(&'static str, String)> {
    let around = fx::around();
    let live = [
        fx::deployment("emr-1.1", Phase::Serving),
        fx::harmful(HOSTILE),
        fx::destroyed("emr-1.0"),
    ];
    let past = fx::destroyed("emr-1.0");
    let events = fx::events("It began.");
    let versions = Versions {
        baseline: "sample:1.0".into(),
        canary: "sample:1.1".into(),
    };
    vec![
        ("home-empty", HomePage::of(&around, &[], None).render().unwrap()),
        ("home", HomePage::of(&around, &live, None).render().unwrap()),
        (
            "destroy-ask",
            DestroyPage::of(&around, &live[0], &events).render().unwrap(),
        ),
        (
            "destroy-going",
            DestroyPage::of(&around, &fx::destroying("emr-1.1"), &events)
                .render()
                .unwrap(),
        ),
        (
            "destroy-gone",
            DestroyPage::of(&around, &past, &events).render().unwrap(),
        ),
        ("report", ReportPage::of(&fx::report(), versions).render().unwrap()),
        ("login", LoginPage::new("one-time".into(), None).render().unwrap()),
        ("connect", ConnectPage::of(&around, &fx::listeners()).render().unwrap()),
        ("new-empty", new_page(None)),
        (
            "new-filled",
            new_page(Some(serde_json::to_value(fx::spec("emr-1.1")).unwrap())),
        ),
        (
            "deployment-serving",
            deployment_page(&fx::deployment("emr-1.1", Phase::Serving), Outcome::Inconclusive),
        ),
        (
            "deployment-harmful",
            deployment_page(&fx::harmful("emr-1.1"), Outcome::Harmful),
        ),
        (
            "deployment-hostile",
            deployment_page(&fx::deployment(HOSTILE, Phase::Serving), Outcome::NoWorse),
        ),
    ]
}

#[test]
fn gallery_is_written_where_it_is_asked_for() {
    let Ok(directory) = std::env::var("ARYA_GALLERY") else {
        return;
    };
    for (name, html) in pages() {
        std::fs::write(format!("{directory}/{name}.html"), html).unwrap();
    }
}
