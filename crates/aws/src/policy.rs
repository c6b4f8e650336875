//! The least policy for exactly the calls that the code makes, from the same table that it makes them by.

use std::collections::{BTreeMap, BTreeSet};

use arya_plan::identity::{InstallationId, TAG_INSTALLATION};
use serde_json::{Map, Value, json};

use crate::calls::{Call, IMPLIED, Part, Scope};

/// AWS's limit for a managed policy, in characters without spaces.
pub const POLICY_MAX: usize = 6_144;

/// What the policy is narrowed to. Each that is known makes it smaller.
#[derive(Debug, Clone, Default)]
pub struct PolicyScope {
    /// The one listener that may get a rule of ours; its ARN also tells partition, region and account.
    pub listener: Option<String>,
    pub installation: Option<InstallationId>,
    /// The bucket of the load balancer's access logs, which is the user's and read where evidence comes from them.
    pub log_bucket: Option<String>,
}

impl PolicyScope {
    /// A field of the listener's ARN: `arn:partition:service:region:account:…`.
    fn of_arn(&self, index: usize) -> Option<&str> {
        let field = self.listener.as_deref()?.split(':').nth(index)?;
        (!field.is_empty()).then_some(field)
    }

    fn arn(&self, service: &str, rest: &str) -> String {
        let partition = self.of_arn(1).unwrap_or("aws");
        match service {
            "s3" => format!("arn:{partition}:s3:::{rest}"),
            // Images belong to whoever publishes them.
            _ if rest.starts_with("image/") => format!("arn:{partition}:{service}:*::{rest}"),
            // And a network that accounts share, to one of them.
            _ if rest.starts_with("subnet/") || rest.starts_with("vpc/") => {
                format!("arn:{partition}:{service}:{}:*:{rest}", self.of_arn(3).unwrap_or("*"))
            }
            _ => {
                let (region, account) = (self.of_arn(3).unwrap_or("*"), self.of_arn(4).unwrap_or("*"));
                format!("arn:{partition}:{service}:{region}:{account}:{rest}")
            }
        }
    }

    /// As [`crate::uploads::bucket_name`] makes names.
    fn our_buckets(&self) -> String {
        self.arn("s3", &format!("arya-*-files-{}", self.of_arn(4).unwrap_or("*")))
    }

    /// That a tag of ours is there, or is this installation's.
    fn tagged(&self, key: &str) -> (&'static str, String, Value) {
        let key = format!("aws:{key}/{TAG_INSTALLATION}");
        match self.installation {
            Some(installation) => ("StringEquals", key, installation.to_string().into()),
            None => ("StringLike", key, "*".into()),
        }
    }
}

/// The policy document for a part; every part may look, and who operates may stop.
pub fn policy(part: Part, narrowed: &PolicyScope) -> Value {
    let parts: &[Part] = match part {
        Part::Discover => &[Part::Discover],
        Part::EmergencyStop => &[Part::Discover, Part::EmergencyStop],
        Part::Operate => &[Part::Discover, Part::EmergencyStop, Part::Operate],
    };
    let rows = Call::ALL.iter().map(|call| call.row());
    let rows = rows
        .map(|row| (row.action, row.part, row.scope))
        .chain(IMPLIED.iter().copied());
    let mut actions: BTreeMap<Scope, BTreeSet<&str>> = BTreeMap::new();
    for (action, _, scope) in rows.filter(|(_, of, _)| parts.contains(of)) {
        actions.entry(scope).or_default().insert(action);
    }
    let statements = actions
        .iter()
        .map(|(scope, actions)| statement(*scope, actions, narrowed));
    let logs = narrowed.log_bucket.iter().flat_map(|bucket| of_logs(bucket, narrowed));
    json!({"Version": "2012-10-17", "Statement": statements.chain(logs).collect::<Vec<_>>()})
}

/// Reading access logs: the two calls that read our own buckets, on what load balancers write into one of the user's.
fn of_logs(bucket: &str, narrowed: &PolicyScope) -> [Value; 2] {
    // Before it comes the prefix that is set at the load balancer, if any.
    let written = format!("*AWSLogs/{}/elasticloadbalancing/*", narrowed.of_arn(4).unwrap_or("*"));
    let list = json!({
        "Sid": "AccessLogsListed",
        "Effect": "Allow",
        "Action": [Call::ListObjectsV2.row().action],
        "Resource": [narrowed.arn("s3", bucket)],
        "Condition": {"StringLike": {"s3:prefix": written}},
    });
    let read = json!({
        "Sid": "AccessLogsRead",
        "Effect": "Allow",
        "Action": [Call::GetObject.row().action],
        "Resource": [narrowed.arn("s3", &format!("{bucket}/{written}"))],
    });
    [list, read]
}

/// The statements that allow one action, and nothing else.
pub(crate) fn allowing(action: &str, narrowed: &PolicyScope) -> Value {
    let rows = Call::ALL.iter().map(|call| call.row());
    let rows = rows.map(|row| (row.action, row.scope));
    let rows = rows.chain(IMPLIED.iter().map(|(action, _, scope)| (*action, *scope)));
    let scopes: BTreeSet<Scope> = rows.filter(|(of, _)| *of == action).map(|(_, scope)| scope).collect();
    let mut statements: Vec<Value> = scopes
        .into_iter()
        .map(|scope| statement(scope, &BTreeSet::from([action]), narrowed))
        .collect();
    if statements.len() == 1 {
        statements.remove(0)
    } else {
        statements.into()
    }
}

fn statement(scope: Scope, actions: &BTreeSet<&str>, narrowed: &PolicyScope) -> Value {
    let mut conditions = Vec::new();
    let ec2 = |rest: &str| narrowed.arn("ec2", rest);
    let elb = |rest: &str| narrowed.arn("elasticloadbalancing", rest);
    let resources = match scope {
        Scope::Anything => vec!["*".to_owned()],
        Scope::Ours => {
            conditions.push(narrowed.tagged("ResourceTag"));
            vec!["*".to_owned()]
        }
        Scope::TaggedAtCreation => {
            conditions.push(narrowed.tagged("RequestTag"));
            let made = made_by_ec2().map(ec2);
            made.into_iter().chain([elb("targetgroup/*")]).collect()
        }
        Scope::LaunchInputs => ["image/*", "subnet/*", "security-group/*", "key-pair/*"]
            .map(ec2)
            .into(),
        Scope::Vpc => vec![ec2("vpc/*")],
        Scope::Ec2TagsAtCreation => {
            conditions.push(narrowed.tagged("RequestTag"));
            let creating = json!(["RunInstances", "CreateSecurityGroup"]);
            conditions.push(("StringEquals", "ec2:CreateAction".into(), creating));
            made_by_ec2().map(ec2).into()
        }
        Scope::ElbTagsAtCreation => {
            conditions.push(narrowed.tagged("RequestTag"));
            let creating = json!(["CreateTargetGroup", "CreateRule"]);
            conditions.push(("StringEquals", "elasticloadbalancing:CreateAction".into(), creating));
            ["targetgroup/*", "listener-rule/app/*"].map(elb).into()
        }
        Scope::RuleOnListener => {
            conditions.push(narrowed.tagged("RequestTag"));
            vec![narrowed.listener.clone().unwrap_or_else(|| elb("listener/app/*"))]
        }
        Scope::NewBucket | Scope::OurBuckets => vec![narrowed.our_buckets()],
        Scope::OurObjects => vec![narrowed.our_buckets() + "/*"],
    };
    if let Some(account) = narrowed.of_arn(4)
        && matches!(scope, Scope::Ours | Scope::OurBuckets | Scope::OurObjects)
    {
        conditions.push(("StringEquals", "aws:ResourceAccount".into(), account.into()));
    }
    let mut document = json!({
        "Sid": format!("{scope:?}"),
        "Effect": "Allow",
        "Action": actions,
        "Resource": resources,
    });
    if !conditions.is_empty() {
        document["Condition"] = Value::Object(grouped(conditions));
    }
    document
}

/// What a launch and a security group make, and tag in the same call.
const fn made_by_ec2() -> [&'static str; 4] {
    ["instance/*", "volume/*", "network-interface/*", "security-group/*"]
}

/// Conditions of one operator stand under one name.
fn grouped(conditions: Vec<(&'static str, String, Value)>) -> Map<String, Value> {
    let mut grouped: Map<String, Value> = Map::new();
    for (operator, key, value) in conditions {
        grouped.entry(operator).or_insert_with(|| json!({}))[key.as_str()] = value;
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTENER: &str =
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/shop/0123456789abcdef/fedcba9876543210";

    fn narrowed() -> PolicyScope {
        PolicyScope {
            listener: Some(LISTENER.into()),
            installation: Some(InstallationId::new(uuid::Uuid::from_u128(7))),
            log_bucket: None,
        }
    }

    fn actions(document: &Value) -> BTreeSet<String> {
        let statements = document["Statement"].as_array().unwrap().iter();
        let actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
        actions.map(|action| action.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn it_allows_exactly_what_the_table_lists() {
        let listed = Call::ALL.iter().map(|call| call.row().action);
        let implied = IMPLIED.iter().map(|(action, _, _)| *action);
        let wanted: BTreeSet<String> = listed.chain(implied).map(str::to_owned).collect();
        assert_eq!(actions(&policy(Part::Operate, &narrowed())), wanted);
    }

    #[test]
    fn the_bucket_of_access_logs_is_read_where_it_is_named_and_nothing_else_of_it() {
        let logs = |bucket: Option<&str>| {
            let scope = PolicyScope {
                log_bucket: bucket.map(str::to_owned),
                ..narrowed()
            };
            let document = policy(Part::Discover, &scope);
            let statements = document["Statement"].as_array().unwrap().clone();
            let of_logs = |one: &Value| one["Sid"].as_str().unwrap().starts_with("AccessLogs");
            statements.into_iter().filter(of_logs).collect::<Vec<_>>()
        };
        assert_eq!(logs(None), Vec::<Value>::new());
        let [list, read] = &logs(Some("shop-logs"))[..] else {
            panic!("two statements")
        };
        let written = "*AWSLogs/123456789012/elasticloadbalancing/*";
        assert_eq!(list["Action"], json!(["s3:ListBucket"]));
        assert_eq!(list["Resource"], json!(["arn:aws:s3:::shop-logs"]));
        assert_eq!(list["Condition"], json!({"StringLike": {"s3:prefix": written}}));
        assert_eq!(read["Action"], json!(["s3:GetObject"]));
        assert_eq!(read["Resource"], json!([format!("arn:aws:s3:::shop-logs/{written}")]));
    }

    #[test]
    fn buckets_are_those_whose_names_we_make_and_tags_are_written_by_what_makes_a_thing_alone() {
        let of = |scope: &PolicyScope, sid: &str| {
            let document = policy(Part::Operate, scope);
            let mut statements = document["Statement"].as_array().unwrap().iter();
            statements.find(|one| one["Sid"] == sid).unwrap().clone()
        };
        let name = "arya-abcdefgh23-files-123456789012";
        assert!(crate::uploads::is_bucket_name(name, "123456789012"));
        let ours = "arn:aws:s3:::arya-*-files-123456789012";
        for sid in ["NewBucket", "OurBuckets"] {
            assert_eq!(of(&narrowed(), sid)["Resource"], json!([ours]));
        }
        assert_eq!(of(&narrowed(), "OurObjects")["Resource"], json!([format!("{ours}/*")]));
        let anywhere = of(&PolicyScope::default(), "OurObjects");
        assert_eq!(anywhere["Resource"], json!(["arn:aws:s3:::arya-*-files-*/*"]));
        let tags = of(&narrowed(), "Ec2TagsAtCreation");
        let made_by = json!(["RunInstances", "CreateSecurityGroup"]);
        assert_eq!(tags["Condition"]["StringEquals"]["ec2:CreateAction"], made_by);
        assert!(!tags["Resource"].to_string().contains("*/*"), "{tags}");
        let tags = of(&narrowed(), "ElbTagsAtCreation");
        let made_by = json!(["CreateTargetGroup", "CreateRule"]);
        assert_eq!(
            tags["Condition"]["StringEquals"]["elasticloadbalancing:CreateAction"],
            made_by
        );
    }

    #[test]
    fn who_may_look_may_change_nothing() {
        for action in actions(&policy(Part::Discover, &narrowed())) {
            let verb = action.split(':').nth(1).unwrap();
            assert!(
                ["Describe", "Get", "List"].iter().any(|read| verb.starts_with(read)),
                "{action}"
            );
        }
    }

    #[test]
    fn who_may_stop_may_build_nothing() {
        let stop = actions(&policy(Part::EmergencyStop, &narrowed()));
        assert!(stop.contains("elasticloadbalancing:DeleteRule"));
        assert!(
            !stop
                .iter()
                .any(|action| action.contains(":Create") || action.contains(":Run") || action.contains(":Put"))
        );
    }

    #[test]
    fn only_that_listener_gets_a_rule_and_only_what_is_ours_is_changed() {
        let document = policy(Part::Operate, &narrowed());
        for statement in document["Statement"].as_array().unwrap() {
            let has = |action: &str| statement["Action"].as_array().unwrap().contains(&action.into());
            if has("elasticloadbalancing:CreateRule") {
                assert_eq!(statement["Resource"], json!([LISTENER]));
                assert!(
                    statement["Condition"].to_string().contains("aws:RequestTag/arya"),
                    "{statement}"
                );
            }
            if has("ec2:TerminateInstances") || has("elasticloadbalancing:DeleteRule") {
                assert!(
                    statement["Condition"].to_string().contains("aws:ResourceTag/arya"),
                    "{statement}"
                );
                assert!(
                    statement["Condition"].to_string().contains("aws:ResourceAccount"),
                    "{statement}"
                );
            }
            assert!(
                !statement.to_string().contains("iam:"),
                "no role is passed: {statement}"
            );
        }
    }

    #[test]
    fn a_network_may_be_another_accounts_and_a_bucket_to_be_made_is_in_none() {
        let document = policy(Part::Operate, &narrowed());
        let of = |sid: &str| {
            let mut statements = document["Statement"].as_array().unwrap().iter();
            statements.find(|one| one["Sid"] == sid).unwrap().clone()
        };
        assert_eq!(of("Vpc")["Resource"], json!(["arn:aws:ec2:eu-west-1:*:vpc/*"]));
        let inputs = of("LaunchInputs")["Resource"].to_string();
        assert!(
            inputs.contains("eu-west-1:*:subnet/*") && inputs.contains("123456789012:key-pair/*"),
            "{inputs}"
        );
        assert!(
            of("NewBucket")["Condition"].is_null(),
            "no account is known of what does not stand"
        );
        assert!(
            of("OurBuckets")["Condition"]
                .to_string()
                .contains("aws:ResourceAccount")
        );
    }

    #[test]
    fn one_actions_statements_are_those_of_the_whole_policy() {
        let one = allowing("ec2:TerminateInstances", &narrowed());
        assert_eq!(one["Action"], json!(["ec2:TerminateInstances"]));
        assert!(one["Condition"].to_string().contains("aws:ResourceTag"));
        assert_eq!(allowing("ec2:RunInstances", &narrowed()).as_array().unwrap().len(), 2);
    }

    #[test]
    fn it_fits_a_managed_policy() {
        for narrowed in [PolicyScope::default(), narrowed()] {
            let length = policy(Part::Operate, &narrowed).to_string().len();
            assert!(length <= POLICY_MAX, "{length} characters");
        }
    }
}
