//! One document per line in, one answer per line out, in order. A bad line is answered with what is wrong with it, and
//! the rest goes on.

use std::io::{self, BufRead, Read as _};

use serde_json::json;

use super::DOCUMENT_LIMIT;
use crate::cli::TOOL_ERROR;
use crate::output;

/// Answers each line that is not blank. The exit code tells whether any of them was bad.
pub(super) fn answer_each(
    input: impl BufRead,
    mut judged: impl FnMut(&[u8]) -> anyhow::Result<String>,
) -> anyhow::Result<u8> {
    let mut lines = Lines {
        input,
        text: Vec::new(),
    };
    let (mut number, mut code) = (0_u64, 0);
    while let Some(length) = lines.next()? {
        number += 1;
        let answer = match length {
            Length::Blank => continue,
            Length::Whole => judged(&lines.text),
            Length::TooLong => Err(anyhow::anyhow!(
                "The line is longer than {DOCUMENT_LIMIT} bytes, so it was not judged. Split it."
            )),
        };
        let answer = answer.unwrap_or_else(|error| {
            code = TOOL_ERROR;
            json!({"line": number, "error": format!("{error:#}")}).to_string()
        });
        output::line(&answer)?;
    }
    Ok(code)
}

/// What the next line turned out to be.
enum Length {
    Blank,
    Whole,
    TooLong,
}

/// Reads lines into one buffer that never grows beyond the limit.
struct Lines<R> {
    input: R,
    text: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> io::Result<Option<Length>> {
        self.text.clear();
        let most = DOCUMENT_LIMIT + 1;
        let read = self.input.by_ref().take(most).read_until(b'\n', &mut self.text)?;
        if read == 0 {
            return Ok(None);
        }
        if read as u64 == most && self.text.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
            return Ok(Some(Length::TooLong));
        }
        let is_blank = self.text.iter().all(u8::is_ascii_whitespace);
        Ok(Some(if is_blank { Length::Blank } else { Length::Whole }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_beyond_the_limit_is_skipped_and_the_next_one_is_read() {
        let endless = io::repeat(b'1').take(3 * DOCUMENT_LIMIT);
        let input = io::BufReader::new((b"a\n\n".chain(endless)).chain(&b"\nb"[..]));
        let mut lines = Lines {
            input,
            text: Vec::new(),
        };
        let mut seen = Vec::new();
        while let Some(length) = lines.next().unwrap() {
            assert!(lines.text.capacity() as u64 <= 2 * DOCUMENT_LIMIT + 2);
            seen.push(match length {
                Length::Blank => "blank".to_owned(),
                Length::Whole => String::from_utf8(lines.text.clone()).unwrap(),
                Length::TooLong => "too long".to_owned(),
            });
        }
        assert_eq!(seen, ["a\n", "blank", "too long", "b"]);
    }
}
