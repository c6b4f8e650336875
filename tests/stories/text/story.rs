//! A story's file: its title, its script, what a person reads while it happens, and its end.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::ending::ending;
use crate::script::{self, Line, What};
use crate::telling::Telling;

const RULE: &str = "----------------------------------------";

pub(crate) struct Story {
    path: PathBuf,
    /// A sentence of the README.
    pub(crate) title: String,
    /// Title and script as they are written.
    head: String,
    lines: Vec<Line>,
    /// Feed and end as they are written.
    written: String,
}

impl Story {
    pub(crate) fn read(folder: &Path, name: &str) -> Result<Self, String> {
        let path = folder.join(format!("{name}.story"));
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let (head, written) = match text.split_once(RULE) {
            Some((head, _)) => (head.to_owned(), text[head.len()..].to_owned()),
            None => (text, String::new()),
        };
        let mut words = head.lines().map(str::trim).filter(|line| !line.is_empty());
        let title = words.next().ok_or("it has no title")?.to_owned();
        let script = words.filter(|line| !line.starts_with('#'));
        let lines = script.map(script::line).collect::<Result<_, _>>()?;
        Ok(Self {
            path,
            title,
            head,
            lines,
            written,
        })
    }

    /// Tells it anew and compares, or blesses what was told.
    pub(crate) fn check(&self) -> Result<(), String> {
        let told = self.told()?;
        if std::env::var_os("ARYA_BLESS").is_some() {
            let text = format!("{}\n\n{told}", self.head.trim_end());
            return std::fs::write(&self.path, text).map_err(|error| error.to_string());
        }
        if told == self.written {
            return Ok(());
        }
        Err(format!(
            "It goes otherwise than it is written (- written, + now; ARYA_BLESS=1 writes it anew):\n{}",
            difference(&self.written, &told)
        ))
    }

    fn told(&self) -> Result<String, String> {
        let mut telling = Telling::new(&self.lines, Vec::new());
        let played = telling.play(&self.lines).and_then(|()| ending(&telling));
        let feed = telling.feed.join("\n");
        let mut end = played.map_err(|problem| format!("{problem}\n{feed}"))?;
        let waiting = telling.world.faults_left();
        if !waiting.is_empty() {
            return Err(format!("no call came that was to go wrong: {waiting:?}"));
        }
        let same = |line: &Line| match line.what {
            What::Same(variation) => Some(variation.live(&self.lines, &telling, &end)),
            _ => None,
        };
        let same: Vec<String> = self.lines.iter().filter_map(same).collect::<Result<_, _>>()?;
        end.extend(same);
        Ok(format!("{RULE}\n{feed}\n{RULE}\n{}\n", end.join("\n")))
    }
}

/// Lines around what differs, as a person compares them: the longest run of lines that both have is kept.
fn difference(written: &str, told: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (written.lines().collect(), told.lines().collect());
    let mut same = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for (i, line) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            same[i][j] = if line == other {
                same[i + 1][j + 1] + 1
            } else {
                same[i + 1][j].max(same[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        let (sign, line) = if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
            (' ', old[i - 1])
        } else if j == new.len() || (i < old.len() && same[i + 1][j] >= same[i][j + 1]) {
            i += 1;
            ('-', old[i - 1])
        } else {
            j += 1;
            ('+', new[j - 1])
        };
        let _ = writeln!(text, "{sign} {line}");
    }
    text
}

#[test]
fn a_difference_keeps_what_both_have() {
    let found = difference("a\nb\nc\n", "a\nc\nd\n");
    assert_eq!(found, "  a\n- b\n  c\n+ d\n");
}
