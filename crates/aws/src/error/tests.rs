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
