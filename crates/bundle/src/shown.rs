//! Foreign text as part of a sentence: short, on one line, and without characters that act on a terminal or turn the
//! reading direction. Must never know what the text means.

use std::fmt;

/// A name. Longer ones lose their middle, because both ends tell something.
const NAME_CHARACTERS: usize = 160;
/// A clause that quotes foreign text, such as a YAML parser's.
const CLAUSE_CHARACTERS: usize = 400;
/// Names in one sentence.
const LISTED: usize = 10;

/// Foreign text, written so that it can stand in a sentence.
pub(crate) struct Shown<'a> {
    text: &'a str,
    characters: usize,
}

/// For names: paths, services, variables.
pub(crate) fn name(text: &str) -> Shown<'_> {
    Shown {
        text,
        characters: NAME_CHARACTERS,
    }
}

/// For clauses: what a parser said.
pub(crate) fn clause(text: &str) -> Shown<'_> {
    Shown {
        text,
        characters: CLAUSE_CHARACTERS,
    }
}

/// The first of many names, and how many more there are.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let first: Vec<_> = names.by_ref().take(LISTED).map(|text| name(text).to_string()).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The beginning of what somebody wrote, of at most so many characters; a character that would act on a terminal is
/// written out.
#[must_use]
pub fn beginning(text: &str, characters: usize) -> String {
    let mut letters = text.chars();
    let mut begin = String::new();
    for letter in letters.by_ref().take(characters) {
        push_safe(&mut begin, letter).expect("writing to a text cannot fail");
    }
    if letters.next().is_some() {
        begin.push('…');
    }
    begin
}

/// What a parser says it expected, in words of people instead of types of ours. It says so last, behind what it quotes of
/// the text that it read.
#[must_use]
pub fn in_plain_words(text: &str) -> String {
    const PLAIN: [(&str, &str); 9] = [
        ("expected u8", "expected a whole number from 0 to 255"),
        ("expected u16", "expected a whole number from 0 to 65535"),
        ("expected u32", "expected a whole number, not negative"),
        ("expected u64", "expected a whole number, not negative"),
        ("expected usize", "expected a whole number, not negative"),
        ("expected f64", "expected a number"),
        ("expected a string", "expected a text"),
        ("expected a sequence", "expected a list"),
        ("expected a map", "expected keys with values"),
    ];
    let (quoted, said) = text.split_at(text.rfind("expected ").unwrap_or_default());
    let found = PLAIN.iter().find_map(|(typed, plain)| {
        let after = said.strip_prefix(typed)?;
        // `expected u16` is not the beginning of `expected u168`.
        let ends = !after.starts_with(|c: char| c.is_ascii_alphanumeric());
        ends.then(|| format!("{quoted}{plain}{after}"))
    });
    found.unwrap_or_else(|| text.to_owned())
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = self.characters / 2;
        let at = |(at, _): (usize, char)| at;
        // Counted from both ends, so that a text of megabytes is not walked through.
        let head = self.text.char_indices().nth(half).map_or(self.text.len(), at);
        let tail = self.text.char_indices().rev().nth(half.saturating_sub(1)).map_or(0, at);
        if tail <= head {
            return write_safe(f, self.text);
        }
        write_safe(f, &self.text[..head])?;
        f.write_str("…")?;
        write_safe(f, &self.text[tail..])
    }
}

fn write_safe(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| push_safe(f, c))
}

fn push_safe(f: &mut impl fmt::Write, c: char) -> fmt::Result {
    if c.is_control() || turns_direction(c) {
        write!(f, "{}", c.escape_unicode())
    } else {
        f.write_char(c)
    }
}

/// Unicode's bidirectional marks (UAX 9) and its two line ends, which `is_control` does not count.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_short_and_acts_on_nothing() {
        let check = |text: &str, expected: &str| assert_eq!(beginning(text, 4), expected);
        check("", "");
        check("abcd", "abcd");
        check("abcde", "abcd…");
        check("a\u{1b}\u{202e}é", "a\\u{1b}\\u{202e}é");
    }

    #[test]
    fn what_a_parser_expected_is_said_plainly_and_what_it_quotes_is_left_alone() {
        let check = |text: &str, expected: &str| assert_eq!(in_plain_words(text), expected);
        check(
            "invalid type: map, expected u16 at line 1",
            "invalid type: map, expected a whole number from 0 to 65535 at line 1",
        );
        check(
            "invalid type: string \"expected u8\", expected a map",
            "invalid type: string \"expected u8\", expected keys with values",
        );
        check("expected u168", "expected u168");
        check("missing field `name`", "missing field `name`");
    }

    #[test]
    fn what_acts_on_a_terminal_is_written_out() {
        assert_eq!(name("a\x1b[2Jb\n\u{202e}c").to_string(), "a\\u{1b}[2Jb\\u{a}\\u{202e}c");
        assert_eq!(name("größer/日本").to_string(), "größer/日本");
    }

    #[test]
    fn long_texts_keep_both_ends() {
        let shown = name(&format!("start{}end", "é".repeat(5000))).to_string();
        assert!(
            shown.starts_with("start") && shown.ends_with("end") && shown.contains('…'),
            "{shown}"
        );
        assert_eq!(shown.chars().count(), NAME_CHARACTERS + 1);
        assert_eq!(
            name(&"é".repeat(NAME_CHARACTERS)).to_string(),
            "é".repeat(NAME_CHARACTERS)
        );
    }

    #[test]
    fn long_lists_say_how_many_more() {
        let many: Vec<_> = (0..15).map(|number| number.to_string()).collect();
        assert_eq!(
            list(many.iter().map(String::as_str)),
            "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 5 more"
        );
        assert_eq!(list(["a", "b"]), "a, b");
    }
}
