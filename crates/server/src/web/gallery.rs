//! Every page in the states that matter, rendered from fixtures. `ARYA_GALLERY=DIR cargo test gallery` also writes them
//! to files, to be looked at in a browser.

use std::sync::LazyLock;

use arya_judge::backtest::Change;
use arya_judge::kayenta::Thresholds;
use arya_judge::kayenta::minutes::usual_config;
use arya_judge::{MetricKind, Outcome};
use arya_plan::phase::Phase;
use arya_plan::timing::Timing;
use askama::Template;

use super::fixtures::{self as fx, HOSTILE};
use super::form::{NewForm, Problems};
use super::frame::Around;
use super::judged::{self, MANY, USUAL, Worse};
use super::pages::connect::ConnectPage;
use super::pages::deployment::{DeploymentPage, Sources, Versions};
use super::pages::destroy::DestroyPage;
use super::pages::home::HomePage;
use super::pages::lab::{Answer, LabForm, LabPage};
use super::pages::login::LoginPage;
use super::pages::logs::LogsPage;
use super::pages::new::{Filled, NewPage};
use super::pages::plan::PlanPanel;
use super::pages::report::ReportPage;
use super::pages::settings::{SettingsPage, Shown};
use crate::api::documents::{BacktestDocument, DeploymentDocument, Told, VerdictDocument};
use crate::app::{About, Backtest, Chosen, Closer, Named, judged_again};

fn deployment_page(document: &DeploymentDocument, outcome: Outcome) -> String {
    shown(document, &fx::verdict(outcome), None)
}

/// A page with its verdict, and with the metric that someone looks at.
fn shown(document: &DeploymentDocument, verdict: &VerdictDocument, closer: Option<(&str, &Closer)>) -> String {
    let events = fx::events(HOSTILE);
    let versions = Versions {
        baseline: "sample:1.0".into(),
        canary: "sample:1.1".into(),
    };
    let sources = Sources {
        deployment: document,
        verdict,
        events: &events,
        versions: &versions,
        closer,
    };
    DeploymentPage::of(&fx::around(), &sources, None).render().unwrap()
}

/// The deployment page in the states of its verdict.
fn verdict_pages() -> Vec<(&'static str, String)> {
    let serving = fx::deployment("emr-1.1", Phase::Serving);
    let slower = [
        USUAL[0],
        Worse("latency", MetricKind::Histogram, 1.6),
        USUAL[2],
        USUAL[3],
    ];
    let slower = judged::run(&slower, 20);
    let many = judged::run(&MANY, 30);
    let looked_at = |run, name| {
        let closer = judged::closer(run, name);
        shown(&serving, &judged::verdict(run), Some((name, &closer)))
    };
    vec![
        (
            "deployment-no-evidence",
            shown(&serving, &VerdictDocument::nothing(Told::SoFar), None),
        ),
        (
            "deployment-few",
            shown(&serving, &judged::verdict(&judged::run(&USUAL, 1)), None),
        ),
        ("deployment-ended-unsure", {
            let few = judged::told(&judged::run(&USUAL, 3), Told::AtTheEnd);
            // As after a restart, which forgets what was counted last.
            let mut document = fx::destroyed("emr-1.1");
            document.weights.measured = None;
            shown(&document, &few, None)
        }),
        ("deployment-no-worse", deployment_page(&serving, Outcome::NoWorse)),
        ("deployment-source-failing", shown(&serving, &judged::failing(), None)),
        ("deployment-many", shown(&serving, &judged::verdict(&many), None)),
        ("deployment-closer-latency", looked_at(&slower, "latency")),
        ("deployment-closer-errors", looked_at(&slower, "error share")),
        ("deployment-closer-memory", looked_at(&slower, "memory")),
    ]
}

fn lab_pages() -> Vec<(&'static str, String)> {
    let known = || [judged::named(HOSTILE, judged::run(&USUAL, 10))];
    let page = |known: &[Named], form, outcome| LabPage::of(&fx::around(), known, form, outcome).render().unwrap();
    let run = judged::run(&[Worse("error share", MetricKind::ErrorShare, 1.1)], 6);
    let change = Change {
        pass_margin: Some(3.0),
        ..Change::default()
    };
    let asked = Backtest {
        of: Chosen::Latest(5),
        kayenta: Some((usual_config(&run.config), Thresholds::USUAL)),
        change,
    };
    let runs = vec![judged_again(&judged::named("emr-1.1", run), &asked).unwrap()];
    let result = BacktestDocument::of(&asked, runs, Vec::new());
    let mut problems = Problems::default();
    problems.say("alpha_fail", "“x” is no number.");
    problems.say(
        "metric latency",
        "`pass_margin` of the metric `latency` must be above 1, at most 100.",
    );
    vec![
        ("lab-empty", page(&[], LabForm::default(), Answer::NotAsked)),
        ("lab", page(&known(), LabForm::default(), Answer::NotAsked)),
        ("lab-judged", page(&known(), LabForm::default(), Answer::Judged(result))),
        (
            "lab-refused",
            page(&known(), LabForm::default(), Answer::Refused(problems, None)),
        ),
    ]
}

fn settings_pages() -> Vec<(&'static str, String)> {
    let page = |around: &Around, about: &About, timing: &Timing, (sight, removals): &fx::Left| {
        let shown = Shown {
            about,
            tools: None,
            timing,
            sight,
            removals,
        };
        SettingsPage::of(around, &shown, fx::at(30)).render().unwrap()
    };
    let nothing = fx::Left::default();
    vec![
        ("settings", page(&fx::around(), &fx::about(), &Timing::TRY, &nothing)),
        (
            "settings-aws",
            page(&fx::on_aws(), &fx::about(), &Timing::AWS, &fx::left()),
        ),
        (
            "settings-aws-nothing",
            page(&fx::on_aws(), &fx::about(), &Timing::AWS, &fx::nothing_left()),
        ),
    ]
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

/// Name and HTML of every page; made once, because the judge is asked for many of them.
pub(crate) fn pages() -> &'static [(&'static str, String)] {
    static PAGES: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(all_pages);
    &PAGES
}

fn all_pages() -> Vec<(&'static str, String)> {
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
    let mut pages = vec![
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
        ("logs", LogsPage::of(&around, &live[0], &fx::logs()).render().unwrap()),
        ("report", ReportPage::of(&fx::report(), versions).render().unwrap()),
        (
            "login",
            LoginPage::new("one-time".into(), "/lab", None).render().unwrap(),
        ),
        (
            "connect",
            ConnectPage::of(&around, &fx::listeners(), &fx::access(), fx::at(0))
                .render()
                .unwrap(),
        ),
        (
            "connect-aws",
            ConnectPage::of(&fx::on_aws(), &fx::accounts(), &fx::access(), fx::at(30))
                .render()
                .unwrap(),
        ),
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
    ];
    pages.extend(verdict_pages());
    pages.extend(lab_pages());
    pages.extend(settings_pages());
    pages
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

/// Where a page begins to say something about itself: everything between `from` and the next `to`, for each place.
fn between<'h>(html: &'h str, from: &'h str, to: &'h str) -> impl Iterator<Item = &'h str> {
    html.split(from)
        .skip(1)
        .map(move |rest| rest.split(to).next().unwrap_or_default())
}

fn each(check: impl Fn(&str, &str)) {
    for (name, html) in pages() {
        check(name, html);
    }
}

fn check(page: &str, words: &[&str]) {
    let all = pages();
    let (_, html) = all.iter().find(|(name, _)| *name == page).unwrap();
    for word in words {
        assert!(html.contains(word), "{page} does not say {word:?}");
    }
}

#[test]
fn pages_say_what_matters() {
    check("home-empty", &["Nothing is live", "Start the demo", "New canary"]);
    check(
        "home",
        &[
            "What is live",
            "Needs you",
            "History",
            "asked",
            "applied",
            "measured",
            "Destroy…",
            "0 differences",
        ],
    );
    check(
        "new-empty",
        &[
            "Where",
            "Who",
            "What",
            "How to judge",
            "When to stop",
            "Use the bundled sample",
            "Show plan",
        ],
    );
    check(
        "new-filled",
        &[
            "Needs your word",
            "volume:pgdata",
            "main rule",
            "if forgotten 48 h",
            "no worse in about 15 minutes",
            "linux/amd64",
            "canary_percent: 20",
        ],
    );
    check(
        "deployment-serving",
        &[
            "Not enough evidence yet",
            "asked",
            "applied",
            "measured",
            "the exact query",
            "Destroy…",
            "X-Arya-Probe",
        ],
    );
    check(
        "deployment-harmful",
        &["Harmful", "Overrule this verdict", "removed", "A person decides"],
    );
    check(
        "destroy-ask",
        &["Destroy emr-1.1?", "cannot undo", "Destroy now", "arya destroy emr-1.1"],
    );
    check("destroy-going", &["Removing emr-1.1", "Instances ended", "now"]);
    check(
        "destroy-gone",
        &["Production is exactly as before: 0 differences.", "Report"],
    );
    check("report", &["Restore proof", "What happened", "What was asked"]);
    check("login", &["Log in", "works once"]);
    check("connect", &["What this server sees", "/api/*"]);
    check(
        "new-filled",
        &["now m5.large", "now subnet-1, subnet-2", "List prices."],
    );
    check("settings", &["ends with this program", "not part of arya try"]);
    check(
        "settings-aws",
        &[
            "The connection away did not show all that stands",
            "no open deployment needs it",
            "Made by the installation",
            "Being removed: The instances were ended.",
            "It could not be removed.",
            "every 10 s",
        ],
    );
    check(
        "settings-aws-nothing",
        &["Nothing with Arya's tags in production (123456789012"],
    );
}

#[test]
fn judging_pages_say_what_matters() {
    check(
        "deployment-no-evidence",
        &["nothing is judged while the canary gets no traffic"],
    );
    check("deployment-few", &["Not enough evidence", "alarm at 81:1"]);
    check("deployment-no-worse", &["No worse", "margin 1.5", "evidence 0"]);
    check("deployment-source-failing", &["did not answer within 4 s"]);
    check("deployment-many", &["mail queue", "out of memory kills"]);
    check(
        "deployment-closer-latency",
        &[
            "The exact query",
            "above each edge",
            "Both arms over",
            "Kayenta",
            "critical",
        ],
    );
    check(
        "lab-empty",
        &["No canary was measured on this server yet", "recorded examples"],
    );
    check(
        "lab",
        &["Judge again", "as it was", "Minimum bake", "arya judge --backtest"],
    );
    check(
        "lab-judged",
        &[
            "The verdict would have been another one.",
            "Not enough evidence",
            "No worse",
            "Kayenta:",
        ],
    );
    check(
        "lab-refused",
        &["is no number", "must be above 1", "Nothing was judged"],
    );
}

#[test]
fn what_has_ended_waits_for_nothing() {
    check(
        "deployment-ended-unsure",
        &[
            "Not enough evidence",
            "How it went",
            "It is gone; production answers everything.",
            "no longer known",
        ],
    );
    each(|page, html| {
        let (_, tiles) = html.split_once("id=\"metrics\"").unwrap_or_default();
        let (tiles, _) = tiles.split_once("id=\"instances\"").unwrap_or_default();
        let counts = html.contains("no traffic counted yet");
        let waits = counts || tiles.contains(" yet") || tiles.contains("if nothing is wrong");
        assert!(
            page != "deployment-ended-unsure" || !(tiles.is_empty() || waits),
            "{tiles}"
        );
    });
}

#[test]
fn no_template_turns_escaping_off() {
    let mut folders = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/../../templates").into()];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir::<std::path::PathBuf>(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap().replace(' ', "");
            assert!(!text.contains("|safe"), "{}", path.display());
            read += 1;
        }
    }
    assert!(read > 10, "{read} templates");
}

#[test]
fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
    each(|page, html| {
        let own_style = if page == "report" { 1 } else { 0 };
        assert_eq!(
            html.matches("<style").count(),
            own_style,
            "{page} has an inline style sheet"
        );
        // Its digest is what the report's policy lets in.
        assert!(own_style == 0 || html.contains(super::assets::style_sheet()), "{page}");
        for tag in between(html, "<", ">") {
            assert!(!tag.contains(" style="), "{page} has an inline style: {tag}");
            assert!(
                !tag.split(' ').any(|part| part.starts_with("on") && part.contains('=')),
                "{page} has a handler: {tag}"
            );
            let outside = ["src=\"http", "src=\"//", "srcset="]
                .iter()
                .any(|bad| tag.contains(bad));
            assert!(!outside, "{page} loads from elsewhere: {tag}");
            assert!(
                !tag.starts_with("link ") || tag.contains("href=\"/static/"),
                "{page}: {tag}"
            );
        }
        for script in between(html, "<script", "</script>") {
            assert!(
                script.starts_with(" src=\"/static/") && script.ends_with("defer>"),
                "{page} has an inline script"
            );
        }
    });
}

#[test]
fn hostile_names_stay_text() {
    each(|page, html| assert!(!html.contains("<script>alert"), "{page} runs what a user wrote"));
    check("deployment-hostile", &["&#60;script&#62;alert(1)"]);
}

#[test]
fn every_form_that_changes_something_shows_its_command() {
    each(|page, html| {
        for form in between(html, "<form", "</form>") {
            let from_login = page == "login";
            // The twin stands in the form or directly after it, in the same block of buttons.
            let rest = html.split(form).nth(1).unwrap_or_default();
            let near = &rest[..rest.len().min(400)];
            let twin = form.contains("class=\"twin\"") || near.contains("class=\"twin\"");
            let demo_again = form.contains("action=\"/demo\"");
            assert!(
                from_login || twin || demo_again,
                "{page}: a form without its command: {form}"
            );
        }
    });
}

#[test]
fn pages_are_readable_without_script() {
    each(|page, html| {
        if html.contains("data-stream") {
            assert!(
                html.contains("<noscript><meta http-equiv=\"refresh\""),
                "{page} does not reload by itself"
            );
        }
    });
    // What needs a script is hidden until the script shows it.
    each(|page, html| {
        for tag in between(html, "<button", ">").filter(|tag| tag.contains("data-copy")) {
            assert!(tag.contains("hidden"), "{page}: a dead button without script: {tag}");
        }
    });
}

#[test]
fn every_input_has_a_name_for_people() {
    each(|page, html| {
        for tag in between(html, "<input", ">").chain(between(html, "<select", ">")) {
            let id = between(tag, " id=\"", "\"").next();
            let labelled = id.is_some_and(|id| html.contains(&format!("<label for=\"{id}\"")));
            let inside = ["radio", "checkbox"].iter().any(|kind| tag.contains(kind));
            let hidden = tag.contains("type=\"hidden\"");
            assert!(
                labelled || inside || hidden || tag.contains("aria-label"),
                "{page}: an input without a name: {tag}"
            );
        }
    });
}

#[test]
fn cells_of_tables_say_their_header_where_rows_become_blocks() {
    each(|page, html| {
        for table in between(html, "<table class=\"rows", "</table>") {
            assert!(
                table.starts_with(" labelled"),
                "{page}: a table that scrolls on a phone"
            );
            let headers: Vec<_> = between(table, "<th ", "</th>")
                .map(|tag| tag.split('>').nth(1).unwrap_or_default())
                .collect();
            for cell in between(table, "<td", "</td>").zip(headers.iter().cycle()) {
                let label = between(cell.0, "data-label=\"", "\"").next();
                // What needs no label is what a row is about, or a link that says itself where it leads.
                assert!(
                    label.map_or(cell.0.contains("<a "), |label| label == *cell.1),
                    "{page}: {cell:?}"
                );
            }
        }
    });
    check("settings-aws", &["data-label=\"Region\""]);
}

#[test]
fn live_parts_can_be_found_again() {
    each(|page, html| {
        for tag in between(html, "<", ">").filter(|tag| tag.contains(" data-live")) {
            let id = between(tag, " id=\"", "\"")
                .next()
                .unwrap_or_else(|| panic!("{page}: a live part without id: {tag}"));
            assert_eq!(
                html.matches(&format!(" id=\"{id}\"")).count(),
                1,
                "{page}: {id} is there twice"
            );
        }
    });
}

#[test]
fn colour_is_never_alone() {
    each(|page, html| {
        for chip in between(html, "<span class=\"chip ", "</span>").filter(|chip| !chip.starts_with("plain")) {
            assert!(
                chip.contains("<svg") && !chip.ends_with("</svg>"),
                "{page}: a chip without icon or word: {chip}"
            );
        }
    });
}
