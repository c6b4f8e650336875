//! What the containers of a deployment printed, fit to be shown: without what may point at a person, and without the
//! control characters that colour a terminal.

use arya_judge::Timestamp;
use arya_plan::discreet::{masked, uncoloured};
use arya_plan::left::{LOG_BYTES_MAX, Log};
use serde::Serialize;

/// The logs of every instance that a deployment has had.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LogsDocument {
    /// Baseline first, then canary, then the monitor.
    pub(crate) logs: Vec<LogDocument>,
    /// Why there are none, or not all; a sentence.
    pub(crate) missing: Option<String>,
    pub(crate) as_of: Timestamp,
}

/// One instance's.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LogDocument {
    pub(crate) role: &'static str,
    /// From 0, within the role.
    pub(crate) index: u8,
    /// Which filling of its place it is, from 1.
    pub(crate) incarnation: u32,
    /// As pages call it.
    pub(crate) name: String,
    /// Newest last.
    pub(crate) text: String,
    /// Whether there was more before it.
    pub(crate) cut: bool,
}

impl LogsDocument {
    /// `each` = bytes of each log that are shown, from its end.
    pub(crate) fn of(logs: &[Log], each: usize, missing: Option<String>, as_of: Timestamp) -> Self {
        let mut logs: Vec<&Log> = logs.iter().collect();
        logs.sort_by_key(|log| (log.place, log.incarnation));
        Self {
            logs: logs.into_iter().map(|log| LogDocument::of(log, each)).collect(),
            missing,
            as_of,
        }
    }
}

impl LogDocument {
    fn of(log: &Log, each: usize) -> Self {
        let name = match log.incarnation {
            1 => log.place.to_string(),
            nth => format!("{}, replaced {}", log.place, times(nth - 1)),
        };
        let from = log.bytes.len().saturating_sub(each);
        // One that is as long as it can be was cut by whoever kept it.
        let cut = from > 0 || log.bytes.len() >= LOG_BYTES_MAX;
        // The rest of a line whose beginning is not shown.
        let begins = log.bytes[from..].iter().position(|byte| *byte == b'\n');
        let from = if cut { from + begins.map_or(0, |at| at + 1) } else { 0 };
        Self {
            role: log.place.role.as_str(),
            index: log.place.index,
            incarnation: log.incarnation,
            name,
            text: masked(&uncoloured(&String::from_utf8_lossy(&log.bytes[from..]))),
            cut,
        }
    }
}

fn times(count: u32) -> String {
    match count {
        1 => "once".into(),
        count => format!("{count} times"),
    }
}

#[cfg(test)]
mod tests {
    use arya_plan::identity::{Place, Role};

    use super::*;

    fn log(role: Role, incarnation: u32, text: &str) -> Log {
        Log {
            place: Place { role, index: 0 },
            incarnation,
            bytes: text.as_bytes().to_vec(),
        }
    }

    fn shown(logs: &[Log], each: usize) -> Vec<(String, String, bool)> {
        let document = LogsDocument::of(logs, each, None, Timestamp::UNIX_EPOCH);
        let lines = document.logs.into_iter().map(|log| (log.name, log.text, log.cut));
        lines.collect()
    }

    #[test]
    fn baseline_comes_first_and_a_replacement_says_so() {
        let logs = [
            log(Role::Canary, 3, "c"),
            log(Role::Canary, 1, "b"),
            log(Role::Baseline, 1, "a"),
        ];
        let names: Vec<String> = shown(&logs, 100).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(
            names,
            [
                "baseline instance",
                "canary instance",
                "canary instance, replaced 2 times"
            ]
        );
    }

    #[test]
    fn what_is_shown_begins_with_a_whole_line_and_points_at_nobody() {
        let long = log(Role::Canary, 1, "first line\nGET /patients/4711?name=Anna\n");
        assert_eq!(
            shown(std::slice::from_ref(&long), 35),
            [("canary instance".into(), "GET /patients/…?…\n".into(), true)]
        );
        assert!(!shown(&[long], 100)[0].2);
    }

    #[test]
    fn one_that_was_cut_where_it_was_kept_says_so() {
        let long = "a line\n".repeat(LOG_BYTES_MAX / 7 + 1);
        let cut = log(Role::Canary, 1, &long[long.len() - LOG_BYTES_MAX..]);
        let [(_, text, cut)] = &shown(&[cut], LOG_BYTES_MAX)[..] else {
            panic!()
        };
        assert!(*cut && text.starts_with("a line\n"));
    }

    #[test]
    fn colours_and_control_characters_go() {
        let coloured = log(Role::Canary, 1, "\u{1b}[33mWARN\u{1b}[0m a\tb\r\u{7}\nc");
        assert_eq!(shown(&[coloured], 100)[0].1, "WARN a\tb\nc");
    }
}
