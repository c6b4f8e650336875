//! By which ways requests came to some target groups: listener and rule, as an access log tells them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

use super::{Line, SourceError, by_line, is_a_log};

/// Ways that are told apart: ten listeners with a hundred rules each, which is more than AWS lets a load balancer have.
/// What comes by more is a broken log.
const WAYS_MAX: usize = 1_000;

/// Requests to some target groups, counted by way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ways {
    groups: BTreeSet<String>,
    /// By the listener's port and the rule's priority, 0 for the default rule.
    requests: BTreeMap<(u16, u32), u64>,
    lines: u64,
    odd: u64,
}

impl Ways {
    /// None yet to these groups, named as the log writes them.
    pub fn to(groups: BTreeSet<String>) -> Self {
        Self {
            groups,
            ..Self::default()
        }
    }

    /// Reads a file's lines; whoever has it compressed hands in the decoder.
    ///
    /// # Errors
    /// When the reader fails or the file is too long.
    pub fn read_from(&mut self, reader: impl BufRead) -> io::Result<()> {
        by_line(reader, |text| {
            if !text.trim().is_empty() {
                self.read_line(text);
            }
        })
    }

    fn read_line(&mut self, text: &str) {
        self.lines += 1;
        let Ok(line) = Line::parse(text) else {
            self.odd += 1;
            return;
        };
        let is_there = line.target_group.is_some_and(|group| self.groups.contains(&group));
        let (true, Some(port), Some(rule)) = (is_there, line.port, line.rule) else {
            return;
        };
        let is_known = self.requests.contains_key(&(port, rule));
        if is_known || self.requests.len() < WAYS_MAX {
            *self.requests.entry((port, rule)).or_default() += 1;
        } else {
            self.odd += 1;
        }
    }

    /// Requests by the listener's port and the rule's priority, 0 for the default rule.
    ///
    /// # Errors
    /// [`SourceError::Malformed`] when more than one line in a hundred is no entry.
    pub fn requests(&self) -> Result<&BTreeMap<(u16, u32), u64>, SourceError> {
        is_a_log(self.odd, self.lines)?;
        Ok(&self.requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(url: &str, group: &str, rule: &str) -> String {
        format!(
            "https 2026-01-31T23:40:00.1Z app/shop/50dc 10.0.0.9:2817 10.0.1.7:8080 0.000 0.004 0.000 200 200 34 366 \
             \"GET {url} HTTP/1.1\" \"curl\" - - {group} \"Root=1-58\" \"-\" \"-\" {rule} 2026-01-31T23:40:00Z \"forward\" \"-\" \"-\"\n"
        )
    }

    fn counted(text: &str) -> Result<BTreeMap<(u16, u32), u64>, SourceError> {
        let mut ways = Ways::to(["web".to_owned()].into());
        ways.read_from(text.as_bytes()).unwrap();
        ways.requests().cloned()
    }

    #[test]
    fn requests_are_counted_by_listener_and_rule() {
        let text = [
            line("https://shop.example:443/a?b=c:9", "web", "0"),
            line("https://shop.example:443/", "web", "20"),
            line("http://shop.example:80/", "web", "20"),
            line("https://[2001:db8::1]:443", "web", "20"),
            line("https://shop.example:443/", "other", "20"),
            line("https://shop.example:443/", "web", "-1"),
            line("https://shop.example:443/", "web", "-"),
        ];
        let wanted = [((80, 20), 1), ((443, 0), 1), ((443, 20), 2)];
        assert_eq!(counted(&text.concat()), Ok(wanted.into()));
        assert_eq!(counted(""), Ok(BTreeMap::new()));
    }

    #[test]
    fn what_is_no_log_is_not_counted() {
        let said = counted("hello\n").unwrap_err().to_string();
        assert!(said.contains("1 of 1 lines are no entries"), "{said}");
        let many: String = (0..=WAYS_MAX)
            .map(|rule| line("http://a:80/", "web", &rule.to_string()))
            .collect();
        assert_eq!(counted(&many).map(|ways| ways.len()), Ok(WAYS_MAX));
        let broken: String = (0..2 * WAYS_MAX)
            .map(|rule| line("http://a:80/", "web", &rule.to_string()))
            .collect();
        assert!(counted(&broken).is_err());
    }
}
