//! Lines of `readonly ARYA_NAME='value'` for a shell to read, whatever the value is.

use std::fmt;

use super::Object;

/// A value that no shell can hold. Names which, never what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` has a NUL byte, which no instance could be told.")]
pub struct NulByte {
    /// The value's name in the block.
    pub name: &'static str,
}

/// Names are ours and constant; values are anybody's, and written in one way only.
#[derive(Default)]
pub(super) struct Block(String);

impl Block {
    pub(super) fn text(&mut self, name: &'static str, value: &str) -> Result<(), NulByte> {
        let quoted = quoted(name, value)?;
        self.line(name, "", &quoted);
        Ok(())
    }

    pub(super) fn number(&mut self, name: &'static str, value: u64) {
        self.line(name, "", &value.to_string());
    }

    pub(super) fn list<'v>(
        &mut self,
        name: &'static str,
        values: impl Iterator<Item = &'v str>,
    ) -> Result<(), NulByte> {
        let words = values.map(|value| quoted(name, value)).collect::<Result<Vec<_>, _>>()?;
        self.line(name, " -a", &format!("({})", words.join(" ")));
        Ok(())
    }

    /// `…_URL` and `…_SHA256`, empty when there is none.
    pub(super) fn object(&mut self, name: &'static str, object: Option<&Object>) -> Result<(), NulByte> {
        let url = quoted(name, object.map_or("", |object| &object.url.0))?;
        let digest = quoted(name, object.map_or("", |object| object.digest.hex()))?;
        self.line(&format!("{name}_URL"), "", &url);
        self.line(&format!("{name}_SHA256"), "", &digest);
        Ok(())
    }

    fn line(&mut self, name: &str, option: &str, value: &str) {
        self.0.push_str(&format!("readonly{option} ARYA_{name}={value}\n"));
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Between single quotes a shell reads everything as it is, but a single quote; that one is written outside of them.
fn quoted(name: &'static str, value: &str) -> Result<String, NulByte> {
    if value.contains('\0') {
        return Err(NulByte { name });
    }
    Ok(format!("'{}'", value.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    /// What a shell makes of a script on its standard input; `end` separates values in the answer.
    #[track_caller]
    fn said_by(shell: &str, script: &str) -> String {
        let mut child = Command::new(shell)
            .args(["-eu"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn check_text(value: &str) {
        let mut block = Block::default();
        block.text("VALUE", value).unwrap();
        // A command's output loses its last newlines, so a word of ours ends it.
        let script = format!("{block}printf '%s!' \"$ARYA_VALUE\"\n");
        assert_eq!(said_by("sh", &script), format!("{value}!"));
    }

    const HOSTILE: [&str; 14] = [
        "",
        "'",
        "''' '\\''",
        "$(echo out)`echo out`${HOME}$0",
        "a\nb\n\n",
        "\"; echo out; \"",
        "\\",
        "-n",
        "!! #x",
        "*?[a-z]~",
        "\r\t\u{1b}[31m\u{7}",
        "ä€𝄞\u{202e}",
        "'\nreadonly ARYA_VALUE=out\n'",
        "%s%n\\0",
    ];

    #[test]
    fn hostile_values_are_read_by_a_shell_as_they_are() {
        HOSTILE.iter().for_each(|value| check_text(value));
    }

    #[test]
    fn lists_keep_every_hostile_word_apart() {
        let mut block = Block::default();
        block.list("WORDS", HOSTILE.into_iter()).unwrap();
        let script = format!("{block}printf '%s!\\n' \"${{ARYA_WORDS[@]}}\"\n");
        let expected: String = HOSTILE.iter().map(|word| format!("{word}!\n")).collect();
        assert_eq!(said_by("bash", &script), expected);
    }

    #[test]
    fn an_empty_list_is_a_list() {
        let mut block = Block::default();
        block.list("WORDS", std::iter::empty()).unwrap();
        assert_eq!(said_by("bash", &format!("{block}echo ${{#ARYA_WORDS[@]}}\n")), "0\n");
    }

    #[test]
    fn a_nul_byte_is_refused_by_name() {
        let mut block = Block::default();
        let refused = block.text("HEALTH_PATH", "/a\0b").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`HEALTH_PATH` has a NUL byte, which no instance could be told."
        );
        assert!(block.to_string().is_empty());
    }

    proptest! {
        // Each case starts a shell.
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_value_is_read_by_a_shell_as_it_is(value in "[^\0]{0,200}") {
            check_text(&value);
        }

        #[test]
        fn values_of_quotes_and_dollars_are_read_as_they_are(value in r#"['"\\$`(){};&|<>\n a]{0,40}"#) {
            check_text(&value);
        }
    }
}
