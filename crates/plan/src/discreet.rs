//! What people's software prints, with what may point at a person taken out: query strings, and segments of paths that are
//! identifiers. The same rules as `mask` in `provisioning/boot.sh`, which a test runs beside this.
//!
//! A name in a path cannot be told from other words and stays.

/// Ends a segment of a path in a log.
const ENDS: &[char] = &[
    '?', '&', '#', '"', '\'', '(', ')', ',', ';', '<', '>', ':', '|', ']', '/',
];
/// Stands for what was taken out.
const HIDDEN: char = '…';
/// `HTTP/2` is no path.
const PROTOCOL: &str = "HTTP";

/// Takes out what may point at a person. Twice is once.
pub fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        mask_line(line, &mut shown);
    }
    shown
}

fn mask_line(line: &str, shown: &mut String) {
    let mut rest = line;
    while let Some(at) = rest.find(['/', '?']) {
        let (before, from) = rest.split_at(at);
        shown.push_str(before);
        let after = &from[1..];
        if from.starts_with('?') {
            let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
            let query = after.find(ends).unwrap_or(after.len());
            shown.push('?');
            if query > 0 {
                shown.push(HIDDEN);
            }
            rest = &after[query..];
            continue;
        }
        shown.push('/');
        let hides = if before.ends_with(PROTOCOL) {
            0
        } else {
            identifier(after)
        };
        if hides > 0 {
            shown.push(HIDDEN);
        }
        rest = &after[hides..];
    }
    shown.push_str(rest);
}

/// How long the segment is that begins here, if it may point at a person; 0 otherwise.
fn identifier(after: &str) -> usize {
    let wide = |c: char| c.is_ascii_whitespace() || matches!(c, ']' | '/' | '?' | '"');
    let address = &after[..after.find(wide).unwrap_or(after.len())];
    if address.contains('@') || address.contains("%40") {
        return address.len();
    }
    let ends = |c: char| c.is_ascii_whitespace() || ENDS.contains(&c);
    let segment = &after[..after.find(ends).unwrap_or(after.len())];
    let points = is_uuid(segment) || is_hexadecimal(segment) || is_numbered(segment) || is_mixed(segment);
    if points { segment.len() } else { 0 }
}

fn is_uuid(segment: &str) -> bool {
    let groups: Vec<&str> = segment.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Eight digits or more, one of them a decimal one with seven on a side: `feedface` alone is a word.
fn is_hexadecimal(segment: &str) -> bool {
    let lower = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    segment.bytes().all(lower) && (has_digit_amid(segment, 7, 0) || has_digit_amid(segment, 0, 7))
}

/// Numbers, and letters with four digits behind them, such as `MRN-004213`.
fn is_numbered(segment: &str) -> bool {
    if !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit()) {
        return true;
    }
    let rest = segment.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let rest = rest.strip_prefix(['-', '_', '.']).unwrap_or(rest);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let more = |b: u8| b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    digits >= 4 && rest[digits..].bytes().all(more)
}

/// Twenty characters of a token with a digit in the middle.
fn is_mixed(segment: &str) -> bool {
    let of_token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'=' | b'-');
    segment.bytes().all(of_token) && has_digit_amid(segment, 10, 9)
}

/// Whether a decimal digit has so many bytes before it, and so many behind.
fn has_digit_amid(segment: &str, before: usize, behind: usize) -> bool {
    let bytes = segment.as_bytes();
    let to = bytes.len().saturating_sub(behind);
    bytes
        .get(before..to)
        .is_some_and(|middle| middle.iter().any(u8::is_ascii_digit))
}

/// Without the sequences that colour a terminal, and without other control characters; lines and tabs stay.
pub fn uncoloured(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                // `ESC [ 31 m`: everything up to the letter.
                if rest.as_str().starts_with('[') {
                    rest.next();
                    rest.by_ref().find(char::is_ascii_alphabetic);
                }
            }
            '\n' | '\t' => shown.push(c),
            c if c.is_control() => {}
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        assert_eq!(masked(line), expected);
        assert_eq!(masked(expected), expected, "twice is once");
    }

    #[test]
    fn what_may_point_at_a_person_is_taken_out() {
        check("GET /patients/4213?name=Anna 500", "GET /patients/…?… 500");
        check("a /x/7\nb /y/8/\n", "a /x/…\nb /y/…/\n");
        check("/u/anna@example.com/x /u/b%40c.de", "/u/…/x /u/…");
        check("/p/MRN-004213, /p/P12345", "/p/…, /p/…");
    }

    #[test]
    fn what_colours_a_terminal_is_taken_out() {
        assert_eq!(
            uncoloured("\u{1b}[31mred\u{1b}[0m\tand\u{7} rest\r\n"),
            "red\tand rest\n"
        );
        assert_eq!(uncoloured("ends with \u{1b}[12;"), "ends with ");
    }

    #[test]
    fn what_is_none_stays() {
        for line in [
            "HTTP/2 HTTP/1.1",
            "/api/v1/records",
            "why? because",
            "",
            "/feedface/x",
            "/日本/é",
            "2026/",
        ] {
            check(line, line);
        }
    }
}
