//! A query as words and signs with their places. Must never know what they mean together.

use super::ParseError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A metric, label, function or keyword.
    Word(String),
    Number(f64),
    /// `5m`, `1h30m`: milliseconds.
    Duration(i64),
    Text(String),
    Sign(&'static str),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    /// Byte offset in the query.
    pub(super) at: usize,
}

/// Longer signs first, so that `!=` is not read as `!`.
const SIGNS: [&str; 23] = [
    "==", "!=", "=~", "!~", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "^", "(", ")", "{", "}", "[", "]", ",",
    "@",
];

pub(super) fn tokens(query: &str) -> Result<Vec<Placed>, ParseError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = query[at..].chars().next() {
        let rest = &query[at..];
        let (token, length) = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            'a'..='z' | 'A'..='Z' | '_' => word(rest),
            ':' if found
                .last()
                .is_some_and(|last: &Placed| matches!(last.token, Token::Duration(_))) =>
            {
                return Err(ParseError::at(
                    query,
                    at,
                    "subqueries are not known to the embedded monitor",
                ));
            }
            ':' => word(rest),
            '0'..='9' | '.' => number_or_duration(rest).map_err(|reason| ParseError::at(query, at, reason))?,
            '"' | '\'' | '`' => text(rest).map_err(|reason| ParseError::at(query, at, reason))?,
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let unexpected = || ParseError::at(query, at, format!("unexpected character: {c:?}"));
                let sign = sign.ok_or_else(unexpected)?;
                (Token::Sign(sign), sign.len())
            }
        };
        found.push(Placed { token, at });
        at += length;
    }
    found.push(Placed {
        token: Token::End,
        at: query.len(),
    });
    Ok(found)
}

fn word(rest: &str) -> (Token, usize) {
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .unwrap_or(rest.len());
    (Token::Word(rest[..end].to_owned()), end)
}

fn number_or_duration(rest: &str) -> Result<(Token, usize), String> {
    let mut end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
        .unwrap_or(rest.len());
    // An exponent may carry a sign: 1e-3.
    let hexadecimal = rest.starts_with("0x") || rest.starts_with("0X");
    if !hexadecimal && rest[..end].ends_with(['e', 'E']) && rest[end..].starts_with(['+', '-']) {
        let digits = &rest[end + 1..];
        end += 1 + digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    }
    let written = &rest[..end];
    let number = if hexadecimal {
        u64::from_str_radix(&written[2..], 16).ok().map(|n| n as f64)
    } else {
        written.parse::<f64>().ok()
    };
    match (number, duration(written)) {
        (Some(number), _) => Ok((Token::Number(number), end)),
        (None, Some(ms)) => Ok((Token::Duration(ms), end)),
        (None, None) => Err(format!(
            "{written:?} is neither a number nor a duration as 30s, 5m or 1h30m"
        )),
    }
}

/// Milliseconds of `1h30m` and the like: units from large to small, each at most once.
pub(super) fn duration(written: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 31_536_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut rest = written;
    let mut units = UNITS.iter();
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (_, ms) = units.find(|(unit, _)| *unit == &after[..unit_end])?;
        total = total.checked_add(count.checked_mul(*ms)?)?;
        rest = &after[unit_end..];
    }
    (!written.is_empty()).then_some(total)
}

fn text(rest: &str) -> Result<(Token, usize), String> {
    let mut chars = rest.char_indices();
    let quote = chars.next().map_or('"', |(_, c)| c);
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((Token::Text(value), at + c.len_utf8())),
            '\n' if quote != '`' => break,
            '\\' if quote != '`' => match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some(c @ ('\\' | '"' | '\'')) => value.push(c),
                _ => return Err("unknown escape sequence in a string".to_owned()),
            },
            c => value.push(c),
        }
    }
    Err("unterminated string".to_owned())
}
