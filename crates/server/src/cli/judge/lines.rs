//! One document per line in, one answer per line out, in order. A bad line is answered with what is wrong with it, and
//! the rest goes on.

use std::io::{self, BufRead, Read as _};

use serde::Serialize;
use serde_json::json;

use super::{DOCUMENT_LIMIT, without_mark};
use crate::api::text;
use crate::cli::TOOL_ERROR;
use crate::output;

/// What a line comes to.
pub(super) enum Answered {
    /// It was judged, whatever the verdict.
    Judged(String),
    /// It can be read and not be judged.
    Aborted(String),
}

/// An answer with the number of its line, from 1.
#[derive(Serialize)]
struct Numbered<A> {
    line: u64,
    #[serde(flatten)]
    answer: A,
}

/// Of an answer that is an object.
pub(super) fn numbered(line: u64, answer: impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string(&Numbered { line, answer })?)
}

/// Answers each line that is not blank. The exit code tells whether any of them was not judged.
pub(super) fn answer_each(
    input: impl BufRead,
    mut judged: impl FnMut(u64, &[u8]) -> anyhow::Result<Answered>,
) -> anyhow::Result<u8> {
    let mut lines = Lines {
        input,
        text: Vec::new(),
    };
    let (mut number, mut code) = (0_u64, 0);
    while let Some(length) = lines.next()? {
        number += 1;
        let answered = match length {
            Length::Blank => continue,
            Length::Whole => judged(number, lines.document()),
            Length::TooLong => Err(anyhow::anyhow!(
                "the line is longer than {}; put fewer metrics or a shorter time on it",
                text::limit(DOCUMENT_LIMIT)
            )),
        };
        let answer = match answered {
            Ok(Answered::Judged(answer)) => answer,
            Ok(Answered::Aborted(answer)) => {
                code = TOOL_ERROR;
                answer
            }
            Err(error) => {
                code = TOOL_ERROR;
                numbered(number, json!({"error": format!("{error:#}")}))?
            }
        };
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
        let is_blank = self.document().is_empty();
        Ok(Some(if is_blank { Length::Blank } else { Length::Whole }))
    }

    /// Without the line's end, so that a document cut off in the middle ends on its own line.
    fn document(&self) -> &[u8] {
        without_mark(&self.text).trim_ascii_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_beyond_the_limit_is_skipped_and_the_next_one_is_read() {
        let endless = io::repeat(b'1').take(3 * DOCUMENT_LIMIT);
        let input = io::BufReader::new((b"a\r\n \n".chain(endless)).chain(&b"\nb"[..]));
        let mut lines = Lines {
            input,
            text: Vec::new(),
        };
        let mut seen = Vec::new();
        while let Some(length) = lines.next().unwrap() {
            assert!(lines.text.capacity() as u64 <= 2 * DOCUMENT_LIMIT + 2);
            seen.push(match length {
                Length::Blank => "blank".to_owned(),
                Length::Whole => String::from_utf8(lines.document().to_vec()).unwrap(),
                Length::TooLong => "too long".to_owned(),
            });
        }
        assert_eq!(seen, ["a", "blank", "too long", "b"]);
    }
}
