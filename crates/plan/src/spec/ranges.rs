//! What a spec may say: ranges, lengths and AWS's limits, each with the key that is at fault.

use serde_json::Value;

use super::{Reach, Spec, limits};
use crate::listener::limits as alb;
use crate::problem::Problem;

/// Characters of somebody else's text that a sentence repeats.
const SHOWN: usize = 120;

impl Spec {
    /// Everything about the spec alone that the plan must refuse: ranges, lengths, AWS's limits.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |field: &str, sentence: String, next: &str| {
            problems.push(Problem::blocks(format!("spec:{field}"), sentence, next).at(field));
        };
        if !name_is_good(&self.name) {
            refuse(
                "name",
                format!(
                    "The name must have 1 to {} letters, digits, spaces, dots, hyphens or underscores, and begin and end with \
                     a letter or digit.",
                    limits::NAME_LENGTH
                ),
                "Choose another name.",
            );
        }
        if self.app.port == 0 {
            refuse(
                "app.port",
                "The port is 0; ports are 1 to 65535.".into(),
                "Write the port that the compose file publishes.",
            );
        }
        if self.stickiness_s > alb::STICKINESS_MAX_S {
            refuse(
                "stickiness_s",
                format!(
                    "Stickiness is {} s; AWS allows 1 to {} s (a week), 0 = off.",
                    self.stickiness_s,
                    alb::STICKINESS_MAX_S
                ),
                "Choose less; at most the length of the canary makes sense.",
            );
        }
        if !(1..=limits::PER_ARM).contains(&self.instances.per_arm) {
            refuse(
                "instances.per_arm",
                format!(
                    "{} instances per arm were asked; 1 to {} are possible.",
                    self.instances.per_arm,
                    limits::PER_ARM
                ),
                "Choose a number in that range.",
            );
        }
        let (shortest, longest) = (limits::LIFETIME_AT_LEAST_H, f64::from(limits::LIFETIME_H));
        if !(shortest..=longest).contains(&self.lifetime_h) {
            refuse(
                "lifetime_h",
                format!(
                    "The lifetime is out of range: {shortest} h (a few seconds) to {longest} h (seven days) are possible."
                ),
                "Choose a number in that range.",
            );
        }
        super::grpc::problems(&self.app, &mut problems);
        super::tags::problems(&self.instances.tags, &mut problems);
        self.reach_problems(&mut problems);
        self.warm_up_problems(&mut problems);
        self.analysis_problems(&mut problems);
        self.path_problems(&mut problems);
        self.count_problems(&mut problems);
        self.size_problems(&mut problems);
        problems
    }

    /// Whatever has no limit of its own: no text and no list of a spec is long, and what is planned with must be small.
    fn size_problems(&self, problems: &mut Vec<Problem>) {
        let mut document = serde_json::to_value(self).expect("a spec is plain data");
        if let Some(analysis) = document.pointer_mut("/analysis").and_then(Value::as_object_mut) {
            // A document of its own, with limits of its own.
            analysis.remove("kayenta_config");
        }
        oversized(&document, "", problems);
    }

    fn analysis_problems(&self, problems: &mut Vec<Problem>) {
        let mut refuse = |field: &str, sentence: String, next: &str| {
            problems.push(Problem::blocks(format!("spec:{field}"), sentence, next).at(field));
        };
        if self.analysis.margin != "default" {
            let sentence = format!(
                "The margin \"{}\" is not known; this version has only `default`.",
                short_text(&self.analysis.margin)
            );
            refuse("analysis.margin", sentence, "Leave it out.");
        }
        if self.analysis.kayenta_config.is_some() {
            let sentence = "This version has no Kayenta-equal judge, so `kayenta_config` cannot be followed.".into();
            refuse("analysis.kayenta_config", sentence, "Leave it out.");
        }
        let spell = self.analysis.aa_spell_s;
        if !(0.0..=limits::AA_SPELL_S).contains(&spell) || (spell > 0.0 && spell >= 3600.0 * self.lifetime_h) {
            refuse(
                "analysis.aa_spell_s",
                format!(
                    "The A/A spell is out of range: 0 (none) to {} s are possible, and less than the lifetime.",
                    limits::AA_SPELL_S
                ),
                "Choose less; ten minutes (600) show the usual noise.",
            );
        }
        super::metrics::problems(&self.analysis.metrics, problems);
    }

    /// A monitor with a public address lets in whom the spec names, and so does a shell; nobody names the whole world.
    fn reach_problems(&self, problems: &mut Vec<Problem>) {
        let named = &self.monitor.allow_cidrs;
        let is_world = |range: &ipnet::IpNet| range.prefix_len() == 0;
        let sentence = match self.monitor.reach {
            Reach::Public if named.is_empty() => {
                "With `monitor.reach: public` nobody is let in who is not named, and nobody is."
            }
            Reach::Public if named.iter().any(is_world) => "The monitor's tools would be open to the whole world.",
            Reach::Vpc | Reach::Public | Reach::Bucket if self.shell_from().iter().any(is_world) => {
                "With a key pair, SSH on baseline and canary would be open to the whole world."
            }
            Reach::Vpc | Reach::Public | Reach::Bucket => return,
        };
        let next = "Name this server's address, and yours if you look at the tools, such as 203.0.113.7/32.";
        let field = "monitor.allow_cidrs";
        problems.push(Problem::blocks(format!("spec:{field}"), sentence, next).at(field));
    }

    fn warm_up_problems(&self, problems: &mut Vec<Problem>) {
        let warm_up = &self.app.warm_up;
        let mut refuse = |field: &str, sentence: &str, next: &str| {
            problems.push(Problem::blocks(format!("spec:{field}"), sentence, next).at(field));
        };
        if warm_up.in_a_row == 0 {
            refuse(
                "app.warm_up.in_a_row",
                "Warm-up asks for 0 answers in a row.",
                "Ask for at least 1; leave `paths` empty for no warm-up.",
            );
        }
        if warm_up.under_ms == 0 {
            refuse(
                "app.warm_up.under_ms",
                "No answer can come within 0 ms.",
                "Allow at least 1 ms.",
            );
        }
        let visible = |host: &String| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic());
        if warm_up.host.as_ref().is_some_and(|host| !visible(host)) {
            refuse(
                "app.warm_up.host",
                "The Host header must be a name without spaces or control characters.",
                "Correct it.",
            );
        }
    }

    fn path_problems(&self, problems: &mut Vec<Problem>) {
        let app = &self.app;
        let paths = std::iter::once(("app.health_check_path", &app.health_check_path))
            .chain(app.version_path.iter().map(|p| ("app.version_path", p)))
            .chain(app.warm_up.paths.iter().map(|p| ("app.warm_up.paths", p)))
            .chain(self.exporters.iter().map(|e| ("exporters.path", &e.path)));
        for (field, path) in paths {
            let visible = path.bytes().all(|b| b.is_ascii_graphic());
            if !path.starts_with('/') || path.len() > limits::HEALTH_PATH_LENGTH || !visible {
                let sentence = format!(
                    "The path \"{}\" must start with / and have at most {} visible characters.",
                    short_text(path),
                    limits::HEALTH_PATH_LENGTH
                );
                problems.push(Problem::blocks(format!("spec:{field}"), sentence, "Correct the path.").at(field));
            }
        }
    }

    fn count_problems(&self, problems: &mut Vec<Problem>) {
        let mut at_most = |field: &str, count: usize, limit: usize| {
            if count > limit {
                let sentence = format!("`{field}` has {count} entries; at most {limit} are possible.");
                problems.push(Problem::blocks(format!("spec:{field}"), sentence, "Use fewer.").at(field));
            }
        };
        at_most("app.warm_up.paths", self.app.warm_up.paths.len(), limits::WARM_UP_PATHS);
        at_most(
            "app.warm_up.in_a_row",
            self.app.warm_up.in_a_row as usize,
            limits::WARM_UP_IN_A_ROW as usize,
        );
        at_most("exporters", self.exporters.len(), limits::EXPORTERS);
        at_most("acknowledged", self.acknowledged.len(), limits::ACKNOWLEDGED);
    }
}

fn name_is_good(name: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let edges = [name.chars().next(), name.chars().last()];
    name.chars().count() <= limits::NAME_LENGTH
        && name.chars().all(inside)
        && edges.iter().all(|edge| edge.is_some_and(|c| c.is_ascii_alphanumeric()))
}

/// The beginning of what somebody wrote, for a sentence.
pub(super) fn short_text(text: &str) -> String {
    arya_bundle::beginning(text, SHOWN)
}

fn oversized(value: &Value, at: &str, problems: &mut Vec<Problem>) {
    let refused = |what: &str, size: usize, limit: usize| {
        let at = short_text(at);
        let sentence = format!("`{at}` has {size} {what}; at most {limit} are possible.");
        Problem::blocks(format!("spec:{at}"), sentence, "Use fewer.").at(at)
    };
    match value {
        Value::String(text) if text.len() > limits::TEXT_LENGTH => {
            problems.push(refused("bytes", text.len(), limits::TEXT_LENGTH));
        }
        Value::Array(list) if list.len() > limits::ENTRIES => {
            problems.push(refused("entries", list.len(), limits::ENTRIES));
        }
        Value::Object(keys) if keys.len() > limits::ENTRIES => {
            problems.push(refused("entries", keys.len(), limits::ENTRIES));
        }
        Value::Array(list) => {
            for (place, value) in list.iter().enumerate() {
                oversized(value, &format!("{at}[{place}]"), problems);
            }
        }
        Value::Object(keys) => {
            for (key, value) in keys {
                if key.len() > limits::TEXT_LENGTH {
                    problems.push(refused("bytes in a key", key.len(), limits::TEXT_LENGTH));
                    continue;
                }
                let inside = if at.is_empty() {
                    key.clone()
                } else {
                    format!("{at}.{key}")
                };
                oversized(value, &inside, problems);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
