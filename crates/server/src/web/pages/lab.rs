//! The judge lab: past canaries judged again under another configuration. Its POST computes and changes nothing, so it
//! answers with the page itself.

mod form;

use arya_judge::kayenta::Thresholds;
use arya_judge::kayenta::minutes::usual_config;
use arya_judge::{JudgeConfig, MetricConfig};
use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

pub(crate) use self::form::LabForm;
use self::form::{EXAMPLES, LATEST, NUMBERS, ROWS_MAX, metric_field};
use crate::api::documents::{BacktestDocument, BacktestMetricDocument, BacktestRunDocument, KayentaDocument, Told};
use crate::api::problem::Problem;
use crate::app::{App, Chosen, Named, RUNS_MAX, RUNS_USUAL};
use crate::auth::Caller;
use crate::web::error::ErrorPage;
use crate::web::fields::Fields;
use crate::web::form::Problems;
use crate::web::frame::{Around, Frame};
use crate::web::html;
use crate::web::tone::Chip;
use crate::web::words;

const USES: [(&str, &str); 4] = [
    ("", "as it was"),
    ("critical", "critical"),
    ("plain", "not critical"),
    ("off", "off"),
];

/// Which canary the page begins with; part of the address, so that a deployment's page can lead here.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Beginning {
    deployment: Option<String>,
}

pub(crate) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(beginning): Query<Beginning>,
) -> Response {
    let form = LabForm {
        which: beginning.deployment.unwrap_or_else(|| LATEST.to_owned()),
        ..LabForm::default()
    };
    show(&app, &caller, form, Answer::NotAsked).await
}

pub(crate) async fn post(State(app): State<App>, Extension(caller): Extension<Caller>, fields: Fields) -> Response {
    let form = LabForm::posted(&fields);
    let outcome = match form.asked() {
        Ok(asked) => match app.backtest(asked).await {
            Ok(result) => Answer::Judged(result),
            Err(problem) => Answer::Refused(at_a_field(&problem), Some(problem)),
        },
        Err(problems) => Answer::Refused(problems, None),
    };
    show(&app, &caller, form, outcome).await
}

/// What came of the form.
#[derive(Debug)]
pub(crate) enum Answer {
    NotAsked,
    Judged(BacktestDocument),
    /// Beside which fields what is wrong is said, and what the app said.
    Refused(Problems, Option<Problem>),
}

async fn show(app: &App, caller: &Caller, form: LabForm, outcome: Answer) -> Response {
    let around = Around::of(app, Some(caller));
    let status = match &outcome {
        Answer::NotAsked | Answer::Judged(_) => StatusCode::OK,
        Answer::Refused(_, None) => StatusCode::UNPROCESSABLE_ENTITY,
        Answer::Refused(_, Some(problem)) => problem.status_code(),
    };
    match app.could_be_judged_again(Chosen::Latest(RUNS_MAX)).await {
        Ok(known) => (status, html(&LabPage::of(&around, &known, form, outcome))).into_response(),
        Err(problem) => ErrorPage::answer(&around, &problem),
    }
}

/// What the app refused, beside the field that has it.
fn at_a_field(problem: &Problem) -> Problems {
    let mut problems = Problems::default();
    let field = match problem.field.as_deref() {
        Some("config.alpha_fail") => "alpha_fail",
        Some("config.alpha_pass") => "alpha_pass",
        Some("config.minimum_bake_s") => "minimum_bake",
        Some("config.pass_margin") => "pass_margin",
        Some("last") => "last",
        Some(_) | None => return problems,
    };
    problems.say(field, problem.detail.clone());
    problems
}

#[derive(Debug, Template)]
#[template(path = "pages/lab.html")]
pub(crate) struct LabPage {
    frame: Frame,
    form: LabForm,
    problems: Problems,
    refused: Option<String>,
    /// Whether there is nothing but the examples, and what to do about it.
    examples: bool,
    none_yet: &'static str,
    choices: Vec<ChoiceLine>,
    runs_max: usize,
    numbers: Vec<NumberField>,
    metrics: Vec<MetricRow>,
    uses: &'static [(&'static str, &'static str)],
    twin: String,
    result: Option<ResultView>,
}

#[derive(Debug, Clone)]
struct ChoiceLine {
    value: String,
    word: String,
    chosen: bool,
}

#[derive(Debug, Clone)]
struct NumberField {
    name: &'static str,
    word: &'static str,
    hint: &'static str,
    value: String,
    usual: String,
}

#[derive(Debug, Clone)]
struct MetricRow {
    name: String,
    was: String,
    uses: String,
    margin: String,
    problem: String,
}

#[derive(Debug, Clone)]
struct ResultView {
    sentence: String,
    runs: Vec<RunView>,
    left_out: Vec<String>,
}

#[derive(Debug, Clone)]
struct RunView {
    name: String,
    href: Option<String>,
    when: String,
    changed: bool,
    old: Chip,
    new: Chip,
    sentence: String,
    kayenta: Option<String>,
    metrics: Vec<LineView>,
}

#[derive(Debug, Clone)]
struct LineView {
    name: String,
    turn: String,
    sentence: String,
}

const NONE_YET: &str = "No canary was measured on this server yet, so two recorded ones are here to try it on: one that \
                        failed, one that was healthy. Start the demo, or a canary of your own, and it appears here as soon \
                        as users reach it.";

impl LabPage {
    pub(crate) fn of(around: &Around, known: &[Named], mut form: LabForm, outcome: Answer) -> Self {
        let first = known.first().map(|named| &named.kept.run.config);
        fill_in(&mut form, first);
        let (problems, refused, result) = match outcome {
            Answer::NotAsked => (Problems::default(), None, None),
            Answer::Judged(document) => (Problems::default(), None, Some(ResultView::of(&document))),
            Answer::Refused(problems, problem) => {
                let said = problem.map(|problem| format!("{} {}", problem.detail, problem.next.unwrap_or_default()));
                let said = said.or_else(|| Some("What is wrong is said beside its field.".to_owned()));
                (problems, said, None)
            }
        };
        Self {
            frame: Frame::new("Judge lab", "lab", around),
            refused,
            examples: known.iter().all(|named| named.id.is_none()),
            none_yet: NONE_YET,
            choices: choices(known, &form.which),
            runs_max: RUNS_MAX,
            numbers: numbers(&form, first),
            metrics: rows(known, &form, &problems),
            uses: &USES,
            twin: twin(&form),
            problems,
            result,
            form,
        }
    }
}

fn fill_in(form: &mut LabForm, first: Option<&JudgeConfig>) {
    if form.last.is_empty() {
        form.last = RUNS_USUAL.to_string();
    }
    if form.pass.is_empty() {
        form.pass = words::factor(Thresholds::USUAL.pass);
    }
    if form.marginal.is_empty() {
        form.marginal = words::factor(Thresholds::USUAL.marginal);
    }
    if form.kayenta_config.is_empty()
        && let Some(config) = first
    {
        let usual = usual_config(config);
        form.kayenta_config = serde_json::to_string_pretty(&usual).unwrap_or_default();
    }
}

fn choices(known: &[Named], which: &str) -> Vec<ChoiceLine> {
    let line = |value: &str, word: String| ChoiceLine {
        value: value.to_owned(),
        chosen: value == which,
        word,
    };
    let mut lines = Vec::new();
    if known.iter().any(|named| named.id.is_some()) {
        lines.push(line(LATEST, "the latest ones".to_owned()));
    }
    for named in known {
        if let Some(id) = named.id {
            let word = format!("only {}, {}", named.kept.name, words::day(named.kept.created_at));
            lines.push(line(&id.to_string(), word));
        }
    }
    lines.push(line(EXAMPLES, "the recorded examples".to_owned()));
    lines
}

fn numbers(form: &LabForm, first: Option<&JudgeConfig>) -> Vec<NumberField> {
    let usual = |place: usize| match (place, first) {
        (0, Some(config)) => format!(", {}", words::percent(100.0 * config.alpha_fail)),
        (1, Some(config)) => format!(", {}", words::percent(100.0 * config.alpha_pass)),
        (2, Some(config)) => format!(", {} s", words::count(config.minimum_bake_s)),
        (_, Some(_) | None) => String::new(),
    };
    let field = |(place, (name, word, hint)): (usize, &(&'static str, &'static str, &'static str))| NumberField {
        name,
        word,
        hint,
        value: form.numbers[place].clone(),
        usual: usual(place),
    };
    NUMBERS.iter().enumerate().map(field).collect()
}

/// Every metric of the canaries that can be chosen, once each, with what was filled in.
fn rows(known: &[Named], form: &LabForm, problems: &Problems) -> Vec<MetricRow> {
    let mut rows: Vec<MetricRow> = Vec::new();
    for metric in known.iter().flat_map(|named| &named.kept.run.config.metrics) {
        if rows.len() == ROWS_MAX {
            break;
        }
        if rows.iter().any(|row| row.name == metric.name) {
            continue;
        }
        let filled = form.metrics.iter().find(|(name, ..)| *name == metric.name);
        rows.push(MetricRow {
            name: metric.name.clone(),
            was: was(metric),
            uses: filled.map(|(_, using, _)| using.clone()).unwrap_or_default(),
            margin: filled.map(|(.., margin)| margin.clone()).unwrap_or_default(),
            problem: problems.of(&metric_field(&metric.name)).unwrap_or_default().to_owned(),
        });
    }
    rows
}

fn was(metric: &MetricConfig) -> String {
    let critical = if metric.critical { "critical" } else { "not critical" };
    format!("was {critical}, margin {} ×", words::factor(metric.pass_margin))
}

/// The command line that judges the same.
fn twin(form: &LabForm) -> String {
    match form.which.as_str() {
        "" | LATEST => format!(
            "arya judge --backtest --last {} --config change.json",
            words::argument(&form.last)
        ),
        EXAMPLES => "arya judge --backtest --examples --config change.json".to_owned(),
        id => format!(
            "arya judge --backtest --deployment {} --config change.json",
            words::argument(id)
        ),
    }
}

impl ResultView {
    fn of(document: &BacktestDocument) -> Self {
        let left_out = document.left_out.iter();
        Self {
            sentence: document.sentence.clone(),
            runs: document.runs.iter().map(RunView::of).collect(),
            left_out: left_out
                .map(|line| format!("{} was left out. {}", line.name, line.why))
                .collect(),
        }
    }
}

impl RunView {
    fn of(run: &BacktestRunDocument) -> Self {
        let line = |metric: &BacktestMetricDocument| LineView {
            name: metric.name.clone(),
            turn: match metric.new {
                None => format!("{} → off", metric.old.word()),
                Some(new) if new == metric.old => metric.old.word().to_owned(),
                Some(new) => format!("{} → {}", metric.old.word(), new.word()),
            },
            sentence: metric.sentence.clone(),
        };
        Self {
            name: run.name.clone(),
            href: run.deployment.map(|id| format!("/deployments/{id}")),
            when: words::day(run.created_at),
            changed: run.changed,
            old: Chip::outcome(run.old.outcome, Told::AtTheEnd),
            new: Chip::outcome(run.new.outcome, Told::AtTheEnd),
            sentence: run.new.sentence.clone(),
            kayenta: run.kayenta.as_ref().map(|both| {
                format!(
                    "{} with our metrics and its defaults, {} with this configuration.",
                    score(&both.usual),
                    score(&both.given)
                )
            }),
            metrics: run.metrics.iter().map(line).collect(),
        }
    }
}

fn score(document: &KayentaDocument) -> String {
    match document.score {
        Some(score) => format!("{} ({})", document.classification, words::factor(score.round())),
        None => format!("aborted ({})", document.reason),
    }
}
