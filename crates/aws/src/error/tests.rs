use aws_sdk_ec2::operation::describe_instances::DescribeInstancesError;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::*;

fn check(call: Call, code: &str, status: u16, kind: ErrorKind, words: &[&str]) {
    let error: CloudError = Failure::answered(call, Some(code), status, "AWS says so.").into();
    assert_eq!(error.kind, kind, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{error} lacks {word}");
    }
}

#[test]
fn a_missing_right_names_the_policy_line() {
    let words = [
        "ec2:RunInstances",
        "arya iam",
        "Nothing was changed",
        "UnauthorizedOperation: AWS says so",
    ];
    check(
        Call::RunInstances,
        "UnauthorizedOperation",
        403,
        ErrorKind::Refused,
        &words,
    );
    check(
        Call::UploadPart,
        "AccessDenied",
        403,
        ErrorKind::Refused,
        &["s3:PutObject"],
    );
}

#[test]
fn a_quota_names_what_to_raise() {
    check(
        Call::RunInstances,
        "VcpuLimitExceeded",
        400,
        ErrorKind::Refused,
        &["On-Demand Standard", "vCPU"],
    );
    check(
        Call::CreateRule,
        "TooManyRules",
        400,
        ErrorKind::Refused,
        &["Rules per Application Load Balancer"],
    );
}

#[test]
fn what_helps_is_looking_again() {
    check(Call::CreateRule, "Throttling", 400, ErrorKind::Throttled, &["patience"]);
    check(
        Call::DescribeInstances,
        "RequestLimitExceeded",
        503,
        ErrorKind::Throttled,
        &[],
    );
    check(
        Call::DeleteTargetGroup,
        "ResourceInUse",
        400,
        ErrorKind::NotYet,
        &["ResourceInUse"],
    );
    check(
        Call::RunInstances,
        "IdempotentParameterMismatch",
        400,
        ErrorKind::NotYet,
        &[],
    );
    check(
        Call::CreateRule,
        "InternalFailure",
        500,
        ErrorKind::Unknown,
        &["may have been done"],
    );
    check(Call::CreateRule, "NeverHeardOf", 500, ErrorKind::Unknown, &[]);
    check(
        Call::CreateRule,
        "NeverHeardOf",
        400,
        ErrorKind::Refused,
        &["NeverHeardOf"],
    );
}

#[test]
fn ended_credentials_ask_for_a_login_and_never_say_done() {
    check(
        Call::DeleteRule,
        "ExpiredToken",
        400,
        ErrorKind::Refused,
        &["Log in again", "Nothing was changed"],
    );
    let gone: Result<(), Failure> = Err(Failure::answered(Call::DeleteRule, Some("ExpiredToken"), 403, ""));
    assert!(gone.or_gone().is_err());
    let lost = Failure::unanswered(Call::DeleteRule, "an error occurred while loading credentials");
    assert_eq!(lost.meaning, Meaning::LogIn);
}

#[test]
fn gone_is_done_for_a_delete_only() {
    let gone = || Failure::answered(Call::DeleteRule, Some("RuleNotFound"), 400, "");
    assert_eq!(Err::<(), _>(gone()).or_gone(), Ok(()));
    assert_eq!(CloudError::from(gone()).kind, ErrorKind::NotYet);
}

/// Says what an error of the connection comes to.
fn unconnected(error: ConnectorError) -> String {
    let error: SdkError<DescribeInstancesError, HttpResponse> = SdkError::dispatch_failure(error);
    sorted(Call::DescribeInstances, &error).to_string()
}

/// A layer between the connection and the SDK.
#[derive(Debug, thiserror::Error)]
#[error("client error (Connect)")]
struct Layer(#[source] io::Error);

#[test]
fn what_lies_between_the_connection_and_the_loop_is_not_told() {
    let refused = Layer(io::Error::from_raw_os_error(111));
    assert_eq!(
        unconnected(ConnectorError::io(refused.into())),
        "AWS gave no clear answer when asked to list the instances (Connection refused). Nothing was changed; it is asked again."
    );
    let unknown = Layer(io::Error::other("failed to lookup address information"));
    assert!(unconnected(ConnectorError::io(unknown.into())).contains("(failed to lookup address information)"));
    let late = ConnectorError::timeout("HTTP connect timeout occurred after 3.1s".into());
    assert!(unconnected(late).contains("(HTTP connect timeout occurred after 3.1s)"));
}
