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
