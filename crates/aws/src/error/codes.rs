//! The table from AWS's codes to what they mean.

/// What a code says about the thing that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It is not there: done for a delete, too early for anything else.
    Gone,
    /// It was only asked about, and would have been done.
    WouldBe,
    /// It is there already: done for a create, once it is seen to be ours.
    There,
    /// Something still holds it, or it is not ready.
    NotYet,
    Throttled,
    /// Nobody knows whether it was done.
    Unknown,
    /// The credentials ended.
    LogIn,
    /// The identity may not.
    Denied,
    /// A limit of the account; what to do about it.
    Quota(&'static str),
    /// Will not work; what to do about it.
    Refused(&'static str),
}

const PLAN_AGAIN: &str = "Plan again, and deploy anew.";
const CHANGE_SPEC: &str = "Change the spec, and deploy anew.";

/// Codes as the APIs give them: EC2's and S3's own, and the short ones of Elastic Load Balancing. Sources are rows 10 to
/// 46 of `docs/aws-behaviours.md` and the APIs' lists of common errors.
const MEANINGS: &[(&str, Meaning)] = &[
    // Not there.
    ("InvalidInstanceID.NotFound", Meaning::Gone),
    ("InvalidGroup.NotFound", Meaning::Gone),
    ("InvalidGroupId.NotFound", Meaning::Gone),
    // Of an empty object every range is: who has its URL may have written nothing.
    ("InvalidRange", Meaning::Gone),
    ("ListenerNotFound", Meaning::Gone),
    ("LoadBalancerNotFound", Meaning::Gone),
    ("NoSuchBucket", Meaning::Gone),
    ("NoSuchKey", Meaning::Gone),
    ("NoSuchTagSet", Meaning::Gone),
    ("NoSuchUpload", Meaning::Gone),
    ("NotFound", Meaning::Gone),
    // What was asked for was written again since.
    ("PreconditionFailed", Meaning::Gone),
    ("RuleNotFound", Meaning::Gone),
    ("TargetGroupNotFound", Meaning::Gone),
    ("DryRunOperation", Meaning::WouldBe),
    // There already.
    ("BucketAlreadyOwnedByYou", Meaning::There),
    ("DuplicateTargetGroupName", Meaning::There),
    ("InvalidGroup.Duplicate", Meaning::There),
    ("InvalidPermission.Duplicate", Meaning::There),
    // Too early. A token with other parameters is normal after a restart, since presigned URLs differ: the next look
    // finds the instance by its tags.
    ("BucketNotEmpty", Meaning::NotYet),
    ("DependencyViolation", Meaning::NotYet),
    ("IdempotentInstanceTerminated", Meaning::NotYet),
    ("IdempotentParameterMismatch", Meaning::NotYet),
    ("IncorrectInstanceState", Meaning::NotYet),
    ("InvalidTarget", Meaning::NotYet),
    ("OperationAborted", Meaning::NotYet),
    ("ResourceInUse", Meaning::NotYet),
    // Patience.
    ("EC2ThrottledException", Meaning::Throttled),
    ("RequestLimitExceeded", Meaning::Throttled),
    ("RequestThrottled", Meaning::Throttled),
    ("SlowDown", Meaning::Throttled),
    ("Throttling", Meaning::Throttled),
    ("ThrottlingException", Meaning::Throttled),
    ("TooManyRequestsException", Meaning::Throttled),
    // Their side.
    ("HealthUnavailable", Meaning::Unknown),
    ("InternalError", Meaning::Unknown),
    ("InternalFailure", Meaning::Unknown),
    ("RequestTimeout", Meaning::Unknown),
    ("ServiceUnavailable", Meaning::Unknown),
    ("Unavailable", Meaning::Unknown),
    // Credentials.
    ("AuthFailure", Meaning::LogIn),
    ("ExpiredToken", Meaning::LogIn),
    ("ExpiredTokenException", Meaning::LogIn),
    ("InvalidAccessKeyId", Meaning::LogIn),
    ("InvalidClientTokenId", Meaning::LogIn),
    ("InvalidToken", Meaning::LogIn),
    ("RequestExpired", Meaning::LogIn),
    ("SignatureDoesNotMatch", Meaning::LogIn),
    ("TokenRefreshRequired", Meaning::LogIn),
    ("UnrecognizedClientException", Meaning::LogIn),
    // Rights.
    ("AccessDenied", Meaning::Denied),
    ("AccessDeniedException", Meaning::Denied),
    ("Forbidden", Meaning::Denied),
    ("UnauthorizedOperation", Meaning::Denied),
    // Limits of the account.
    (
        "InstanceLimitExceeded",
        Meaning::Quota(
            "Raise the EC2 quota \"Running On-Demand Standard instances\", or end instances that nobody needs.",
        ),
    ),
    (
        "RulesPerSecurityGroupLimitExceeded",
        Meaning::Quota("Raise the VPC quota \"Inbound or outbound rules per security group\"."),
    ),
    (
        "SecurityGroupLimitExceeded",
        Meaning::Quota("Raise the VPC quota \"VPC security groups per Region\", or delete groups that nobody needs."),
    ),
    (
        "TooManyBuckets",
        Meaning::Quota("Raise the S3 quota \"General purpose buckets\", or delete buckets that nobody needs."),
    ),
    (
        "TooManyRules",
        Meaning::Quota("Raise the quota \"Rules per Application Load Balancer\", or delete a rule that nobody needs."),
    ),
    (
        "TooManyTargetGroups",
        Meaning::Quota("Raise the quota \"Target Groups per Region\", or delete groups that nobody needs."),
    ),
    (
        "TooManyTargets",
        Meaning::Quota("Raise the quota \"Targets per Target Group per Region\"."),
    ),
    (
        "TooManyUniqueTargetGroupsPerLoadBalancer",
        Meaning::Quota("AWS allows 100 target groups a load balancer: take one out of a rule that nobody needs."),
    ),
    (
        "VcpuLimitExceeded",
        Meaning::Quota(
            "Raise the EC2 quota \"Running On-Demand Standard instances\" (it counts vCPUs), or choose a smaller type.",
        ),
    ),
    // Will not work.
    (
        "BucketAlreadyExists",
        Meaning::Refused("Somebody else has a bucket of that name: destroy this deployment, and deploy anew."),
    ),
    (
        "IllegalLocationConstraintException",
        Meaning::Refused("Set the connection's region to the one that its endpoint serves."),
    ),
    ("IncompatibleProtocols", Meaning::Refused(CHANGE_SPEC)),
    (
        "InsufficientInstanceCapacity",
        Meaning::Refused("AWS has no such instance in that zone now: choose another type or subnet, and deploy anew."),
    ),
    ("InvalidAMIID.Malformed", Meaning::Refused(CHANGE_SPEC)),
    ("InvalidAMIID.NotFound", Meaning::Refused(CHANGE_SPEC)),
    ("InvalidConfigurationRequest", Meaning::Refused(CHANGE_SPEC)),
    ("InvalidInstanceType.NotFound", Meaning::Refused(CHANGE_SPEC)),
    ("InvalidLoadBalancerAction", Meaning::Refused(PLAN_AGAIN)),
    ("InvalidParameterValue", Meaning::Refused(CHANGE_SPEC)),
    ("InvalidSubnetID.NotFound", Meaning::Refused(CHANGE_SPEC)),
    ("InvalidVpcID.NotFound", Meaning::Refused(PLAN_AGAIN)),
    (
        "OperationNotPermitted",
        Meaning::Refused("Somebody protects it from this: take the protection away, and it is tried again."),
    ),
    (
        "OptInRequired",
        Meaning::Refused("Enable the region or the image for the account first."),
    ),
    (
        "PriorityInUse",
        Meaning::Refused("Plan again: the plan looks for free priorities."),
    ),
    ("TargetGroupAssociationLimit", Meaning::Refused(PLAN_AGAIN)),
    (
        "Unsupported",
        Meaning::Refused("Choose another instance type or subnet, and deploy anew."),
    ),
    ("ValidationError", Meaning::Refused(CHANGE_SPEC)),
];

/// Looks a code up. AWS has far more codes than this table: a family of *not found* is told by its ending, and the rest
/// by the HTTP status.
pub(super) fn meaning(code: Option<&str>, status: u16) -> Meaning {
    let listed = code.and_then(|code| MEANINGS.iter().find(|(listed, _)| *listed == code));
    if let Some((_, meaning)) = listed {
        return *meaning;
    }
    let is_not_found = |code: &str| code.ends_with("NotFound") || code.starts_with("NoSuch");
    match status {
        400 | 404 if code.is_some_and(is_not_found) => Meaning::Gone,
        // Some proxy's, or a wrong endpoint's: nobody said that anything is not there.
        404 if code.is_none() => Meaning::Unknown,
        401 | 403 => Meaning::Denied,
        409 => Meaning::NotYet,
        429 => Meaning::Throttled,
        400..500 => Meaning::Refused("This is an answer that Arya does not know; the code tells more."),
        _ => Meaning::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_code_once() {
        let mut codes: Vec<_> = MEANINGS.iter().map(|(code, _)| *code).collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }
}
