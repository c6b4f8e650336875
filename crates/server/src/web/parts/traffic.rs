//! The traffic picture: users, our rule, and the three sides with what they answer; a line is as thick as its share.

use crate::api::documents::{DeploymentDocument, SideDocument};
use crate::web::words;

/// A line of full share is this thick, in pixels.
const WIDEST: f64 = 18.0;
/// A line with any share at all stays visible.
const THINNEST: f64 = 1.5;
/// Errors stand out when they are this many percentage points above the baseline's.
const STANDS_OUT_POINTS: f64 = 1.0;

#[derive(Debug, Clone)]
pub(crate) struct TrafficPicture {
    pub(crate) total: String,
    pub(crate) total_unit: &'static str,
    pub(crate) rule: &'static str,
    pub(crate) rule_note: String,
    pub(crate) rule_stands: bool,
    pub(crate) window: String,
    pub(crate) flowing: bool,
    pub(crate) sides: [Side; 3],
}

#[derive(Debug, Clone)]
pub(crate) struct Side {
    pub(crate) class: &'static str,
    pub(crate) name: &'static str,
    pub(crate) share: String,
    pub(crate) rate: String,
    pub(crate) errors: String,
    /// Said in words too, never by colour alone.
    pub(crate) errors_stand_out: bool,
    pub(crate) p95: String,
    pub(crate) wire_class: &'static str,
    pub(crate) wire_width: String,
    pub(crate) wire_y: u16,
    pub(crate) flowing: bool,
}

impl TrafficPicture {
    pub(crate) fn of(document: &DeploymentDocument) -> Self {
        let applied = &document.weights.applied;
        let shares = document.weights.measured.as_ref().unwrap_or(applied);
        let traffic = document.traffic.as_ref();
        let rule_stands = applied.canary > 0.0;
        let total = traffic.map(|t| t.production.requests_per_s + t.baseline.requests_per_s + t.canary.requests_per_s);
        let baseline_errors = traffic.and_then(|t| t.baseline.error_percent);
        let side = |class, name, share: f64, numbers: Option<&SideDocument>, y| {
            side(class, name, share, numbers, y, baseline_errors)
        };
        Self {
            total: total.map_or_else(|| "Users".into(), words::rate),
            total_unit: if total.is_some() { "req/s from users" } else { "" },
            rule: if rule_stands {
                "Our main rule"
            } else {
                "Production's own rule"
            },
            rule_note: rule_note(document, rule_stands),
            rule_stands,
            window: traffic.map_or_else(String::new, |t| {
                let seconds = words::duration(t.window_s);
                match document.closed_at {
                    None => format!("measured over the last {seconds}"),
                    Some(_) => format!("as it was at the end, over {seconds}"),
                }
            }),
            flowing: total.is_some_and(|rate| rate > 0.0),
            sides: [
                side(
                    "production",
                    "Production",
                    shares.production,
                    traffic.map(|t| &t.production),
                    48,
                ),
                side(
                    "baseline",
                    "Baseline",
                    shares.baseline,
                    traffic.map(|t| &t.baseline),
                    150,
                ),
                side("canary", "Canary", shares.canary, traffic.map(|t| &t.canary), 252),
            ],
        }
    }
}

fn rule_note(document: &DeploymentDocument, rule_stands: bool) -> String {
    if !rule_stands {
        return "ours is away".into();
    }
    let conditions = &document.spec.conditions;
    if conditions.is_empty() {
        return "everything that the rule below matches".into();
    }
    conditions
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
}

fn side(
    class: &'static str,
    name: &'static str,
    share: f64,
    numbers: Option<&SideDocument>,
    wire_y: u16,
    baseline_errors: Option<f64>,
) -> Side {
    let errors = numbers.and_then(|side| side.error_percent);
    let above = errors
        .zip(baseline_errors)
        .is_some_and(|(own, other)| own - other > STANDS_OUT_POINTS);
    let used = share > 0.0;
    let width = if used {
        (WIDEST * share / 100.0).max(THINNEST)
    } else {
        THINNEST
    };
    Side {
        class,
        name,
        share: words::percent(share),
        rate: numbers.map_or_else(|| "–".into(), |side| words::rate(side.requests_per_s)),
        errors: errors.map_or_else(|| "–".into(), words::percent),
        errors_stand_out: class == "canary" && above,
        p95: numbers
            .and_then(|side| side.p95_ms)
            .map_or_else(|| "–".into(), |ms| format!("{ms:.0} ms")),
        wire_class: if used { class } else { "none" },
        wire_width: format!("{width:.1}"),
        wire_y,
        flowing: used && numbers.is_some_and(|side| side.requests_per_s > 0.0),
    }
}
