//! What AWS's *no* means: one table from its codes to what the loop does, and the three parts that a person reads.

mod codes;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::pin::Pin;

use arya_plan::cloud::{CloudError, ErrorKind};
use aws_sdk_ec2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::calls::{Call, IMPLIED, Part};
use crate::pace;
pub(crate) use codes::Meaning;
use codes::meaning;

/// A call that was not answered with yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) meaning: Meaning,
    /// What the identity lacks, where it was denied.
    pub(crate) action: &'static str,
    error: CloudError,
}

impl From<Failure> for CloudError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// What is said, as a part of a sentence.
pub(crate) fn clause(said: &impl ToString) -> String {
    said.to_string().trim_end_matches('.').to_owned()
}

impl Failure {
    /// A *no* inside an answer that was otherwise yes.
    pub(crate) fn in_answer(call: Call, code: Option<&str>, message: Option<&str>) -> Self {
        Self::answered(call, code, 200, message.unwrap_or_default())
    }

    /// An answer in AWS's own words, sorted by the table.
    fn answered(call: Call, code: Option<&str>, status: u16, message: &str) -> Self {
        let meaning = meaning(code, status);
        let code = code.map_or_else(|| format!("HTTP status {status}"), str::to_owned);
        let message = message.trim().trim_end_matches('.');
        let said = if message.is_empty() {
            code
        } else {
            format!("{code}: {message}")
        };
        Self::of(call, meaning, &said)
    }

    fn of(call: Call, meaning: Meaning, said: &str) -> Self {
        let action = lacking(call, said);
        Self {
            meaning,
            action,
            error: in_three_parts(call, meaning, action, said),
        }
    }

    /// It was not made: too many others want to know something.
    fn not_our_turn(call: Call) -> Self {
        let why = "Arya asks an account for three listings a second at most, and other deployments came first";
        Self::of(call, Meaning::Throttled, why)
    }

    /// No answer that could be read.
    fn unanswered(call: Call, why: &str) -> Self {
        // The SDK has no variant for credentials that could not be had; its words for it are stable.
        let meaning = if why.contains("credentials") || why.contains("SSO") || why.contains("token") {
            Meaning::LogIn
        } else {
            Meaning::Unknown
        };
        Self::of(call, meaning, why)
    }
}

/// The action that is missing: the call's own, unless AWS names one of those that it checks besides.
fn lacking(call: Call, said: &str) -> &'static str {
    let named = IMPLIED
        .iter()
        .map(|(action, _, _)| *action)
        .find(|action| said.contains(action));
    named.unwrap_or(call.row().action)
}

fn in_three_parts(call: Call, meaning: Meaning, action: &str, said: &str) -> CloudError {
    let row = call.row();
    let could_not = format!("AWS could not {}", row.words);
    match meaning {
        Meaning::Gone | Meaning::There | Meaning::NotYet | Meaning::WouldBe => {
            CloudError::not_yet(format!("{could_not} yet ({said}). Nothing was changed."))
        }
        Meaning::Throttled => CloudError::new(
            ErrorKind::Throttled,
            format!(
                "AWS asks for patience: it did not {} ({said}). Nothing was changed.",
                row.words
            ),
            "",
        ),
        Meaning::Unknown => CloudError::new(
            ErrorKind::Unknown,
            format!(
                "AWS gave no clear answer when asked to {} ({said}). {}",
                row.words,
                match row.part {
                    Part::Discover => "Nothing was changed; it is asked again.",
                    Part::Operate | Part::EmergencyStop => "It may have been done; the next look tells.",
                }
            ),
            "",
        ),
        Meaning::LogIn => CloudError::refused(
            format!(
                "AWS did not accept the credentials when asked to {} ({said}). Nothing was changed.",
                row.words
            ),
            "Log in again (e.g. `aws sso login`); it goes on by itself.",
        ),
        Meaning::Denied => CloudError::refused(
            format!(
                "AWS refused to {}: the identity lacks `{}` ({said}). Nothing was changed.",
                row.words, action
            ),
            format!("Allow `{action}`; `arya iam` prints the whole policy. It is tried again."),
        ),
        Meaning::Quota(next) | Meaning::Refused(next) => CloudError::refused(
            format!("AWS refused to {} ({said}). Nothing was changed.", row.words),
            next,
        ),
    }
}

/// An answer to come. Boxed: the SDK's own futures have kilobytes each, and a look makes dozens at once on one stack.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Makes a call when it is its turn, and sorts what comes back.
pub(crate) fn ask<'a, T: 'a, E>(
    call: Call,
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
) -> Answer<'a, T>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    Box::pin(async move {
        if !pace::turn(call).await {
            return Err(Failure::not_our_turn(call));
        }
        request.await.map_err(|error| sorted(call, &error))
    })
}

fn sorted<E>(call: Call, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    tracing::debug!(call = call.name(), error = %DisplayErrorContext(error), "AWS said no");
    match error {
        SdkError::ServiceError(answer) => {
            let metadata = answer.err().meta();
            let message = metadata.message().unwrap_or_default();
            Failure::answered(call, metadata.code(), answer.raw().status().as_u16(), message)
        }
        SdkError::ResponseError(answer) => Failure::answered(call, None, answer.raw().status().as_u16(), ""),
        SdkError::TimeoutError(_) => Failure::unanswered(call, "no answer in time"),
        SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
            Failure::unanswered(call, &deepest(error))
        }
        other => Failure::unanswered(call, &causes(other)),
    }
}

/// What an error says and what each of its causes adds, without how the SDK keeps them.
fn causes(error: &dyn std::error::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // Some repeat what the next one says.
        if said.last().is_none_or(|last| !last.contains(&text)) {
            said.push(text);
        }
        next = error.source();
    }
    said.join(": ")
}

/// Why nothing came back, in the words of what lies deepest: above it are the names of layers, which say that one below them
/// failed.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    let text = deepest.to_string();
    let number = deepest.downcast_ref().and_then(io::Error::raw_os_error);
    let words = number.and_then(|number| text.strip_suffix(&format!(" (os error {number})")));
    words.map_or_else(|| text.clone(), str::to_owned)
}

/// What a delete makes of an answer: gone is done.
pub(crate) trait OrGone {
    /// `Ok` as well where the thing was not there.
    fn or_gone(self) -> Result<(), CloudError>;
}

impl<T> OrGone for Result<T, Failure> {
    fn or_gone(self) -> Result<(), CloudError> {
        match self {
            Ok(_) => Ok(()),
            Err(failure) if failure.meaning == Meaning::Gone => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}
