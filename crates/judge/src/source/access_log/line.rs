//! One entry of an access log in AWS's format.

use crate::Timestamp;

/// Up to the rule's priority; what follows is not looked at.
const FIELDS_READ: usize = 21;
/// A longer line is no entry: a request line has at most 64 KB, a user agent 8 KB.
pub(super) const LINE_BYTES_MAX: usize = 256 * 1024;

/// What an entry tells of the answer. Fields that AWS adds at the end are ignored, as its guide asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// When the load balancer answered.
    pub time: Timestamp,
    /// The target group's ARN; `None` where no rule forwarded the request.
    pub target_group: Option<String>,
    /// What the client got; `None` where it went away before.
    pub elb_status: Option<u16>,
    /// What the target said; `None` where it was not asked or did not answer.
    pub target_status: Option<u16>,
    /// Seconds from the request's way to the target to the answer's head; `None` where there was no answer.
    pub target_time_s: Option<f64>,
    /// The priority of the rule that matched, 0 for the default rule; `None` for errors.
    pub rule: Option<u32>,
    /// The listener's port, which the log writes into the request's URL; `None` where it cannot be read.
    pub port: Option<u16>,
}

/// A line is no entry: how far it could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no entry of an access log: {missing} is missing or not one")]
pub struct OddLine {
    missing: &'static str,
}

impl Line {
    /// Reads one line.
    ///
    /// # Errors
    /// When a field that is looked at is missing or is not what it should be.
    pub fn parse(line: &str) -> Result<Self, OddLine> {
        let odd = |missing| OddLine { missing };
        if line.len() > LINE_BYTES_MAX {
            return Err(odd("a line of reasonable length"));
        }
        let fields: Vec<&str> = Fields(line).take(FIELDS_READ).collect();
        let field = |place: usize, name| fields.get(place).copied().ok_or(odd(name));
        let time = field(1, "the time")?.parse().map_err(|_| odd("the time"))?;
        let seconds = field(6, "the target's time")?.parse::<f64>();
        let seconds = seconds.map_err(|_| odd("the target's time"))?;
        let group = field(16, "the target group")?;
        Ok(Self {
            time,
            target_group: (group != "-").then(|| group.to_owned()),
            elb_status: status(field(8, "the status")?).ok_or(odd("the status"))?,
            target_status: status(field(9, "the target's status")?).ok_or(odd("the target's status"))?,
            // -1 where there was none.
            target_time_s: (seconds >= 0.0 && seconds.is_finite()).then_some(seconds),
            rule: fields.get(FIELDS_READ - 1).and_then(|rule| rule.parse().ok()),
            port: fields.get(12).and_then(|request| port(request)),
        })
    }
}

/// Of `GET https://www.example.com:443/path HTTP/1.1`.
fn port(request: &str) -> Option<u16> {
    let (_, url) = request.split_once("://")?;
    let host = url.split(['/', '?', ' ']).next()?;
    let (_, port) = host.rsplit_once(':')?;
    // A request that nobody could read ends in hyphens.
    port.trim_end_matches('-').parse().ok()
}

/// A status, or that there is none; outside `None` where it is neither.
fn status(text: &str) -> Option<Option<u16>> {
    match text {
        "-" => Some(None),
        number => number
            .parse()
            .ok()
            .filter(|status| (100..1000).contains(status))
            .map(Some),
    }
}

/// The fields of a line: separated by blanks, those in quotes with blanks inside.
struct Fields<'l>(&'l str);

impl<'l> Iterator for Fields<'l> {
    type Item = &'l str;

    fn next(&mut self) -> Option<&'l str> {
        let text = self.0.trim_start_matches(' ');
        if text.is_empty() {
            return None;
        }
        let Some(inside) = text.strip_prefix('"') else {
            let end = text.find(' ').unwrap_or(text.len());
            self.0 = &text[end..];
            return Some(&text[..end]);
        };
        // A quote inside is written `\x22`; where one stands all the same, only one before a blank ends the field.
        let closing = inside.match_indices('"').map(|(at, _)| at);
        let end = closing
            .into_iter()
            .find(|at| matches!(inside.as_bytes().get(at + 1), None | Some(b' ')))
            .unwrap_or(inside.len());
        self.0 = inside.get(end + 1..).unwrap_or_default();
        Some(&inside[..end])
    }
}
