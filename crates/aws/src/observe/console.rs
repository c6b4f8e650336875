//! What an instance that never says anything printed while it booted: all that is known of it then.

use std::time::Duration;

use arya_judge::Timestamp;
use arya_plan::discreet::{masked, uncoloured};
use aws_sdk_ec2::types::{Instance, InstanceStateName};
use tokio::time::timeout;

use crate::Inner;
use crate::calls::Call;
use crate::error::{Failure, Meaning, ask};
use crate::memory::RARELY;

/// The boot script speaks within a minute of a launch; who has not said anything after this has not got so far, or cannot
/// reach the bucket.
const SPEAKS_WITHIN: Duration = Duration::from_secs(5 * 60);
/// A look waits for it, and it is the least that the look is for.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// Of its end; a sentence carries it.
const CHARACTERS_MAX: usize = 1_000;

/// Whether it runs and should have said something by now.
pub(super) fn is_worth_reading(listed: &Instance, now: Timestamp) -> bool {
    let runs = listed.state().and_then(|state| state.name()) == Some(&InstanceStateName::Running);
    let launched = listed.launch_time().map(|at| at.secs());
    let limit = i64::try_from(SPEAKS_WITHIN.as_secs()).unwrap_or(i64::MAX);
    runs && launched.is_some_and(|at| now.as_second() - at >= limit)
}

impl Inner {
    /// The end of it, asked for once a minute, whatever came of it. That it cannot be read is no reason to see nothing else.
    pub(super) async fn console(&self, instance: &str) -> Option<String> {
        let (known, key) = (&self.memory.consoles, instance.to_owned());
        if let Some(end) = known.younger_than(RARELY, &key) {
            return end;
        }
        let end = match timeout(ANSWERS_WITHIN, self.printed(instance)).await {
            Ok(Ok(output)) => output.as_deref().and_then(end_of),
            Ok(Err(failure)) => {
                tracing::warn!(instance, why = %failure, "the console of an instance that says nothing could not be read");
                None
            }
            Err(_) => {
                tracing::warn!(
                    instance,
                    "the console of an instance that says nothing was not had in time"
                );
                None
            }
        };
        known.keep(key, end)
    }

    /// As of now where the type of the instance allows it: those of Nitro do, and others refuse.
    async fn printed(&self, instance: &str) -> Result<Option<String>, Failure> {
        let asked = async |latest: Option<bool>| {
            let request = self.clients.reading.ec2.get_console_output().instance_id(instance);
            ask(Call::GetConsoleOutput, request.set_latest(latest).send()).await
        };
        let answer = match asked(Some(true)).await {
            Err(failure) if matches!(failure.meaning, Meaning::Refused(_)) => asked(None).await?,
            answer => answer?,
        };
        Ok(answer.output().map(str::to_owned))
    }
}

/// What a person can read of the base64 that EC2 answers with; `None` = nothing was printed.
fn end_of(output: &str) -> Option<String> {
    let digits: String = output
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/'))
        .collect();
    // Not everybody pads it, and a single digit at the end is half a byte.
    let digits = &digits[..digits.len() - usize::from(digits.len() % 4 == 1)];
    let padding = "=".repeat((4 - digits.len() % 4) % 4);
    let bytes = aws_smithy_types::base64::decode(format!("{digits}{padding}")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = uncoloured(&text);
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let text = masked(&lines.collect::<Vec<_>>().join("\n"));
    let length = text.chars().count();
    let end: String = text.chars().skip(length.saturating_sub(CHARACTERS_MAX)).collect();
    (!end.is_empty()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(printed: &[u8], expected: Option<&str>) {
        let padded = aws_smithy_types::base64::encode(printed);
        for output in [padded.clone(), padded.trim_end_matches('=').to_owned(), padded + "\n"] {
            assert_eq!(end_of(&output).as_deref(), expected, "{output}");
        }
    }

    #[test]
    fn a_console_is_read_whether_its_base64_is_padded_or_not() {
        check(b"", None);
        check(b"\n\n", None);
        check(b"a", Some("a"));
        check(b"boot\r\nok", Some("boot\nok"));
        check(b"\x1b[0;32mgreen\x1b[0m\x07 end", Some("green end"));
        check("no DNS: curl: (6) é".as_bytes(), Some("no DNS: curl: (6) é"));
    }

    #[test]
    fn only_its_end_is_kept_and_what_may_point_at_a_person_is_taken_out() {
        let printed = format!("{}GET /orders?user=ana 500", "x\n".repeat(5_000));
        let end = end_of(&aws_smithy_types::base64::encode(printed)).unwrap();
        assert_eq!(end.chars().count(), CHARACTERS_MAX);
        assert!(end.ends_with("GET /orders?… 500"), "{end}");
    }
}
