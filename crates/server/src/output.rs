//! What goes to standard output: answers, one line at a time. Logs go to standard error.

use std::io::{self, Write as _};

/// Prints a line at once, so that a reader at the other end of a pipe has it. A closed pipe is an error, not a panic.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Prints a complaint. If even that fails, there is nobody to tell.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// An error and what is beneath it, as one line. Sentences stay sentences: what follows them is named as their cause.
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    let outer = error.to_string();
    let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    let causes = causes.join(": ");
    match (causes.is_empty(), outer.ends_with('.')) {
        (true, _) => outer,
        (false, true) => format!("{outer} The cause: {}.", causes.trim_end_matches('.')),
        (false, false) => format!("{outer}: {causes}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_follows_a_sentence_as_a_sentence() {
        let cause = || anyhow::anyhow!("No such file");
        for (error, expected) in [
            (cause(), "No such file"),
            (
                cause().context("The file x cannot be read"),
                "The file x cannot be read: No such file",
            ),
            (
                cause().context("Nothing was read. Check the path."),
                "Nothing was read. Check the path. The cause: No such file.",
            ),
        ] {
            assert_eq!(with_causes(&error), expected);
        }
    }
}
