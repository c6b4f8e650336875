//! Every call that this crate makes to AWS: the one table that messages, the printed policy and the tests are made from.
//! A call that is not in it cannot be made, since [`crate::ask`] wants its row.

/// Which part of the printed policy allows a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Reads what stands; changes nothing.
    Discover,
    /// Builds a deployment and shifts traffic to it.
    Operate,
    /// Takes users away from a canary and removes what is ours: enough for *Destroy*, and nothing that builds.
    EmergencyStop,
}

/// What a policy statement may be narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// AWS knows no resource for it.
    Anything,
    /// Only what carries our tag.
    Ours,
    /// Creates something, with our tag in the same call.
    TaggedAtCreation,
    /// What a launch takes besides: image, subnet, groups, key.
    LaunchInputs,
    /// What a security group is made in.
    Vpc,
    /// EC2's tags, written by a create call and never afterwards.
    Ec2TagsAtCreation,
    /// The same for load balancing.
    ElbTagsAtCreation,
    /// A rule on the listener, tagged at its creation.
    RuleOnListener,
    /// A bucket that does not stand yet, and so is in no account.
    NewBucket,
    /// Buckets with our prefix.
    OurBuckets,
    /// What lies in them.
    OurObjects,
}

/// One call: the IAM action that allows it, where that may be narrowed to, and what it does in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// As IAM spells it, e.g. `ec2:RunInstances`; for S3 it differs from the operation's name.
    pub action: &'static str,
    pub part: Part,
    pub scope: Scope,
    /// Follows "could not", e.g. `launch the instance`.
    pub words: &'static str,
}

macro_rules! calls {
    ($($call:ident: $action:literal, $part:ident, $scope:ident, $words:literal;)+) => {
        /// An operation of an AWS API, by its name there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Call {
            $($call,)+
        }

        impl Call {
            pub const ALL: &[Self] = &[$(Self::$call,)+];

            pub const fn row(self) -> Row {
                match self {
                    $(Self::$call => Row {
                        action: $action,
                        part: Part::$part,
                        scope: Scope::$scope,
                        words: $words,
                    },)+
                }
            }

            /// The operation's name in the API.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$call => stringify!($call),)+
                }
            }
        }
    };
}

calls! {
    GetCallerIdentity: "sts:GetCallerIdentity", Discover, Anything, "tell who we are";
    DescribeLoadBalancers: "elasticloadbalancing:DescribeLoadBalancers", Discover, Anything, "list the load balancers";
    DescribeListeners: "elasticloadbalancing:DescribeListeners", Discover, Anything, "list the listeners";
    DescribeRules: "elasticloadbalancing:DescribeRules", Discover, Anything, "list the rules";
    DescribeTargetGroups: "elasticloadbalancing:DescribeTargetGroups", Discover, Anything, "list the target groups";
    DescribeTargetGroupAttributes: "elasticloadbalancing:DescribeTargetGroupAttributes", Discover, Anything, "read a target group's attributes";
    DescribeTargetHealth: "elasticloadbalancing:DescribeTargetHealth", Discover, Anything, "read the health of targets";
    DescribeLoadBalancerAttributes: "elasticloadbalancing:DescribeLoadBalancerAttributes", Discover, Anything, "see where the load balancer writes its access log";
    GetMetricData: "cloudwatch:GetMetricData", Discover, Anything, "read the load balancer's metrics";
    DescribeTags: "elasticloadbalancing:DescribeTags", Discover, Anything, "read tags";
    DescribeInstances: "ec2:DescribeInstances", Discover, Anything, "list the instances";
    GetConsoleOutput: "ec2:GetConsoleOutput", Discover, Ours, "read what a silent instance printed";
    DescribeSecurityGroups: "ec2:DescribeSecurityGroups", Discover, Anything, "list the security groups";
    DescribeSubnets: "ec2:DescribeSubnets", Discover, Anything, "see where instances would stand";
    DescribeRouteTables: "ec2:DescribeRouteTables", Discover, Anything, "see how instances would reach the world";
    DescribeNatGateways: "ec2:DescribeNatGateways", Discover, Anything, "see by which addresses instances would reach the world";
    DescribeInstanceTypes: "ec2:DescribeInstanceTypes", Discover, Anything, "read what an instance type is";
    DescribeImages: "ec2:DescribeImages", Discover, Anything, "find the machine image";
    ListBuckets: "s3:ListAllMyBuckets", Discover, Anything, "list the buckets";
    GetBucketTagging: "s3:GetBucketTagging", Discover, OurBuckets, "read a bucket's tags";
    HeadBucket: "s3:ListBucket", Discover, OurBuckets, "see whether the bucket stands";
    ListObjectsV2: "s3:ListBucket", Discover, OurBuckets, "list the files in the bucket";
    GetObject: "s3:GetObject", Discover, OurObjects, "read what an instance was told or says";

    CreateBucket: "s3:CreateBucket", Operate, NewBucket, "create the temporary bucket";
    PutBucketTagging: "s3:PutBucketTagging", Operate, OurBuckets, "tag the temporary bucket";
    PutBucketLifecycleConfiguration: "s3:PutLifecycleConfiguration", Operate, OurBuckets, "have the bucket empty itself";
    PutObject: "s3:PutObject", Operate, OurObjects, "upload a file";
    CreateMultipartUpload: "s3:PutObject", Operate, OurObjects, "begin an upload";
    UploadPart: "s3:PutObject", Operate, OurObjects, "upload a part";
    CompleteMultipartUpload: "s3:PutObject", Operate, OurObjects, "finish an upload";
    CreateSecurityGroup: "ec2:CreateSecurityGroup", Operate, TaggedAtCreation, "create the security group";
    AuthorizeSecurityGroupIngress: "ec2:AuthorizeSecurityGroupIngress", Operate, Ours, "open the security group's ports";
    CreateTargetGroup: "elasticloadbalancing:CreateTargetGroup", Operate, TaggedAtCreation, "create the target group";
    ModifyTargetGroupAttributes: "elasticloadbalancing:ModifyTargetGroupAttributes", Operate, Ours, "set the target group's attributes";
    RunInstances: "ec2:RunInstances", Operate, TaggedAtCreation, "launch the instance";
    RegisterTargets: "elasticloadbalancing:RegisterTargets", Operate, Ours, "register the instance";
    CreateRule: "elasticloadbalancing:CreateRule", Operate, RuleOnListener, "create the rule";

    ModifyRule: "elasticloadbalancing:ModifyRule", EmergencyStop, Ours, "change the rule's weights";
    DeleteRule: "elasticloadbalancing:DeleteRule", EmergencyStop, Ours, "delete the rule";
    DeregisterTargets: "elasticloadbalancing:DeregisterTargets", EmergencyStop, Ours, "take the instance out of its group";
    TerminateInstances: "ec2:TerminateInstances", EmergencyStop, Ours, "terminate the instance";
    DeleteTargetGroup: "elasticloadbalancing:DeleteTargetGroup", EmergencyStop, Ours, "delete the target group";
    DeleteSecurityGroup: "ec2:DeleteSecurityGroup", EmergencyStop, Ours, "delete the security group";
    ListMultipartUploads: "s3:ListBucketMultipartUploads", EmergencyStop, OurBuckets, "list unfinished uploads";
    AbortMultipartUpload: "s3:AbortMultipartUpload", EmergencyStop, OurObjects, "stop an upload";
    DeleteObject: "s3:DeleteObject", EmergencyStop, OurObjects, "let an instance remove what it fetched";
    DeleteObjects: "s3:DeleteObject", EmergencyStop, OurObjects, "empty the bucket";
    ListObjectVersions: "s3:ListBucketVersions", EmergencyStop, OurBuckets, "list the versions that a bucket keeps";
    DeleteBucket: "s3:DeleteBucket", EmergencyStop, OurBuckets, "delete the bucket";
}

/// Actions that AWS checks besides the call's own: what a call takes in, and tags that travel inside it.
pub const IMPLIED: &[(&str, Part, Scope)] = &[
    ("ec2:RunInstances", Part::Operate, Scope::LaunchInputs),
    ("ec2:CreateSecurityGroup", Part::Operate, Scope::Vpc),
    ("ec2:CreateTags", Part::Operate, Scope::Ec2TagsAtCreation),
    ("elasticloadbalancing:AddTags", Part::Operate, Scope::ElbTagsAtCreation),
    ("s3:TagResource", Part::Operate, Scope::NewBucket),
    ("s3:DeleteObjectVersion", Part::EmergencyStop, Scope::OurObjects),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn sources(folder: &Path, into: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else {
                into.push(std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    /// `describe_rules` → `DescribeRules`.
    fn camel(snake: &str) -> String {
        let word = |word: &str| word[..1].to_uppercase() + &word[1..];
        snake.split('_').map(word).collect()
    }

    /// The operations that a source asks of the clients, which every file names alike.
    fn requests(source: &str) -> Vec<String> {
        let squeezed: String = source.split_whitespace().collect();
        let clients = [".cloudwatch.", ".ec2.", ".elb.", ".s3.", ".sts."];
        let operation = |text: &str| {
            let name = text.split("()").next()?;
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
            name.chars().all(is_name).then(|| camel(name))
        };
        let after = clients.iter().flat_map(|client| squeezed.split(client).skip(1));
        after.filter_map(operation).collect()
    }

    fn all_sources() -> Vec<String> {
        let mut texts = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
        texts
    }

    #[test]
    fn the_code_calls_exactly_what_the_table_lists() {
        let texts = all_sources();
        let made: BTreeSet<String> = texts.iter().flat_map(|text| requests(text)).collect();
        let listed: BTreeSet<String> = Call::ALL.iter().map(|call| call.name().to_owned()).collect();
        assert_eq!(made, listed);
    }

    #[test]
    fn every_request_is_sent_under_its_own_row() {
        let asked = ["ask(Call", "::"].concat();
        let sent = [".se", "nd()"].concat();
        for text in all_sources() {
            let squeezed: String = text.split_whitespace().collect();
            let names = squeezed
                .split(&asked)
                .skip(1)
                .filter_map(|after| after.split(',').next());
            let mut named: Vec<&str> = names.collect();
            let mut made: Vec<String> = requests(&text);
            // What is only signed is sent by an instance.
            made.retain(|name| !squeezed.contains(".presigned(") || named.contains(&name.as_str()));
            named.sort_unstable();
            made.sort_unstable();
            assert_eq!(named, made);
            assert_eq!(
                squeezed.matches(&sent).count(),
                named.len(),
                "a request is sent without a row: {text}"
            );
        }
    }

    #[test]
    fn stopping_needs_no_right_to_build() {
        for call in Call::ALL
            .iter()
            .map(|call| call.row())
            .filter(|row| row.part == Part::EmergencyStop)
        {
            let verb = call.action.split(':').nth(1).unwrap();
            assert!(
                !verb.starts_with("Create") && !verb.starts_with("Run"),
                "{}",
                call.action
            );
        }
    }
}
