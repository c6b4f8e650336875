//! What is read: listeners in the planner's words, and who owns what.

use arya_aws::AwsCloud;
use arya_judge::Timestamp;
use arya_plan::cloud::Cloud;
use arya_plan::identity::{DeploymentId, LogicalId, RuleKind, SecurityGroupKind, resource_name};
use arya_plan::listener::{Action, Condition, ListenerId, Priority, TargetStickiness, TargetType};
use arya_plan::observed::BootPhase;
use arya_plan::phase::Phase;
use arya_plan::plan::Step;
use arya_plan::spec::OneOrMany;
use arya_plan::surroundings::Tenure;
use aws_sdk_elasticloadbalancingv2::types as elb;

use crate::account::OWNER;
use crate::common::installation;
use crate::contract::Ground;
use crate::stage::{Stage, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_is_read_with_its_rules_in_order_and_their_groups() {
    let stage = Stage::set().await;
    assert_eq!(stage.cloud.identity().account, OWNER);
    let sites = stage.cloud.discover().await.unwrap();
    let [site] = &sites[..] else { panic!("{sites:?}") };
    assert_eq!(site.listener.as_str(), stage.account.listener);
    assert!(site.address.starts_with("http://shop-"), "{}", site.address);
    let priorities: Vec<_> = site.rules.iter().map(|rule| rule.priority).collect();
    let numbered = [10, 20, 30].map(Priority::At);
    assert_eq!(priorities, [&numbered[..], &[Priority::Default]].concat());
    let values = vec!["/images/*".to_owned()];
    assert_eq!(site.rules[1].conditions, [Condition::PathPattern { values }]);
    assert!(matches!(
        site.rules[0].actions[..],
        [Action::FixedResponse { status: 410, .. }]
    ));
    assert_eq!(site.rules[2].conditions.len(), 2);
    assert!(site.rules.iter().all(|rule| rule.owner.is_none()));
    let group = site.groups.values().next().unwrap();
    assert_eq!(site.groups.len(), 1);
    assert_eq!(group.settings.name, "shop-web");
    assert_eq!(group.settings.target_type, TargetType::Instance);
    assert_eq!(
        (group.settings.port, group.settings.deregistration_delay_s),
        (8080, 300)
    );
    assert_eq!(group.settings.stickiness, TargetStickiness::Off);
    assert_eq!(group.health.registered, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_are_read_where_people_changed_them() {
    let stage = Stage::set().await;
    let admin = &stage.account.admin;
    let pair = |key: &str, value: &str| elb::TargetGroupAttribute::builder().key(key).value(value).build();
    let request = admin
        .elb
        .modify_target_group_attributes()
        .target_group_arn(&stage.account.production_group);
    let request = request
        .attributes(pair("stickiness.enabled", "true"))
        .attributes(pair("stickiness.type", "app_cookie"))
        .attributes(pair("stickiness.app_cookie.cookie_name", "session"))
        .attributes(pair("deregistration_delay.timeout_seconds", "17"));
    request.send().await.unwrap();
    // A cloud that has looked before remembers attributes for a minute; this one has not looked.
    let fresh = arya_aws::AwsCloud::connect(crate::stage::settings(stage.moto.endpoint(), stage.dir.path()))
        .await
        .unwrap();
    let site = fresh.discover().await.unwrap().remove(0);
    let settings = &site.groups.values().next().unwrap().settings;
    assert_eq!(settings.stickiness, TargetStickiness::AppCookie);
    assert_eq!(settings.deregistration_delay_s, 17);
}

#[tokio::test(flavor = "multi_thread")]
async fn same_as_production_becomes_what_production_has() {
    let stage = Stage::set().await;
    let instances = &stage.desired.spec.instances;
    assert_eq!(instances.instance_type, "m5.large");
    assert_eq!(instances.ami, stage.account.image);
    assert_eq!(
        instances.security_groups,
        OneOrMany::Many(vec![stage.account.shared_security_group.clone()])
    );
    let mut subnets = stage.account.subnets.clone();
    subnets.sort();
    assert_eq!(instances.subnets, OneOrMany::Many(subnets));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_finds_by_tags_what_was_made_and_nothing_of_others() {
    let mut stage = Stage::set().await;
    let nothing = stage.observe().await;
    assert!(!nothing.bucket && nothing.groups.is_empty() && nothing.instances.is_empty());
    assert_eq!(nothing.site, Some(stage.site().await));
    for _ in 0..200 {
        if stage.round().await.0.phase == Phase::Serving {
            break;
        }
        stage.wait().await;
    }
    let mut twin = stage.desired.clone();
    twin.id = DeploymentId::new(uuid::Uuid::new_v4());
    let seen = stage.observe().await;
    assert!(
        seen.bucket && seen.security_groups.len() == 2 && seen.groups.len() == 2,
        "{seen:#?}"
    );
    assert!(
        seen.instances.iter().all(|one| one.phase() == Some(BootPhase::Ready)),
        "{seen:#?}"
    );
    let mut ports: Vec<u16> = seen.instances.iter().map(|one| one.address.unwrap().port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [8080, 8080, 8443], "the apps' ports, and the monitor's door");
    assert!(seen.our_rule(&stage.desired.id, RuleKind::Main).is_some(), "{seen:#?}");
    let others = stage.cloud.observe(&twin, seen.at).await.unwrap();
    assert!(
        !others.bucket && others.groups.is_empty() && others.instances.is_empty(),
        "{others:#?}"
    );
    assert!(others.our_rule(&twin.id, RuleKind::Main).is_none());
    assert_eq!(stage.cloud.list().await.unwrap(), [stage.desired.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_carries_our_tags_from_its_first_moment() {
    let mut stage = Stage::set().await;
    for _ in 0..200 {
        if stage.round().await.0.phase == Phase::Serving {
            break;
        }
        stage.wait().await;
    }
    let admin = &stage.account.admin;
    let ours = |tags: &[aws_sdk_ec2::types::Tag]| {
        let pairs = tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?)));
        arya_plan::identity::Owner::from_tags(pairs).is_some_and(|owner| owner.installation == installation())
    };
    let listed = admin
        .ec2
        .describe_instances()
        .send()
        .await
        .unwrap()
        .reservations
        .unwrap();
    let instances = listed.into_iter().flat_map(|one| one.instances.unwrap_or_default());
    let made: Vec<_> = instances.filter(|one| ours(one.tags())).collect();
    assert_eq!(made.len(), 3);
    for instance in &made {
        assert!(
            instance.tags().iter().any(|tag| tag.key() == Some("team")),
            "the user's tags too"
        );
        assert_eq!(
            instance.metadata_options().unwrap().http_tokens().unwrap().as_str(),
            "required"
        );
        assert!(instance.client_token().is_some_and(|token| token.len() == 32));
    }
    let tokens: std::collections::BTreeSet<_> = made.iter().map(|one| one.client_token()).collect();
    assert_eq!(tokens.len(), 3, "each place has its own token");
    let volumes = admin.ec2.describe_volumes().send().await.unwrap().volumes.unwrap();
    assert_eq!(volumes.iter().filter(|volume| ours(volume.tags())).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_groups_have_dns_failover_off_before_any_target_is_in_them() {
    let stage = Stage::set().await;
    let arm = arya_plan::identity::Arm::Canary;
    stage
        .cloud
        .apply(&stage.desired, &Step::CreateTargetGroup { arm })
        .await
        .unwrap();
    let name = resource_name(&stage.desired.id, LogicalId::TargetGroup(arm));
    let elb = &stage.account.admin.elb;
    let group = elb
        .describe_target_groups()
        .names(name)
        .send()
        .await
        .unwrap()
        .target_groups
        .unwrap()
        .remove(0);
    assert_eq!(
        (group.health_check_interval_seconds(), group.health_check_path()),
        (Some(5), Some("/health"))
    );
    let request = elb
        .describe_target_group_attributes()
        .set_target_group_arn(group.target_group_arn);
    let attributes = request.send().await.unwrap().attributes.unwrap();
    let value = |key: &str| {
        attributes
            .iter()
            .find(|one| one.key() == Some(key))
            .and_then(|one| one.value())
    };
    assert_eq!(
        value("target_group_health.dns_failover.minimum_healthy_targets.count"),
        Some("off")
    );
    assert_eq!(value("deregistration_delay.timeout_seconds"), Some("30"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_made_in_either_kind_of_region() {
    let stage = Stage::set().await;
    for region in ["us-east-1", "eu-west-1"] {
        let mut settings = crate::stage::settings(stage.moto.endpoint(), stage.dir.path());
        settings.connection.region = Some(region.into());
        let cloud = arya_aws::AwsCloud::connect(settings).await.unwrap();
        let mut desired = stage.desired.clone();
        desired.id = DeploymentId::new(uuid::Uuid::new_v4());
        let listener = desired.spec.listener.as_str();
        let stands_in = listener.split(':').nth(3).unwrap();
        desired.spec.listener = ListenerId::new(listener.replace(stands_in, region));
        for _ in 0..2 {
            cloud.apply(&desired, &Step::CreateBucket).await.unwrap();
        }
        assert_eq!(cloud.list().await.unwrap(), [desired.id], "{region}");
        for _ in 0..2 {
            cloud.apply(&desired, &Step::DeleteBucket).await.unwrap();
        }
        assert_eq!(cloud.list().await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_with_a_role_acts_as_the_role_and_in_its_account() {
    let stage = Stage::set().await;
    let connect = async |role: &str| {
        let mut settings = settings(stage.moto.endpoint(), stage.dir.path());
        settings.connection.role_arn = Some(role.to_owned());
        AwsCloud::connect(settings).await.unwrap()
    };
    let cloud = connect(&format!("arn:aws:iam::{OWNER}:role/canaries")).await;
    let (account, arn) = (&cloud.identity().account, &cloud.identity().arn);
    assert_eq!(account, OWNER);
    assert!(arn.ends_with(":assumed-role/canaries/arya"), "{arn}");
    // The role's credentials end within the hour, and are given anew.
    assert_eq!(cloud.tenure().await, Tenure::Lasting);
    assert_eq!(cloud.discover().await.unwrap().len(), 1);
    let elsewhere = connect("arn:aws:iam::210987654321:role/canaries").await;
    assert_eq!(elsewhere.identity().account, "210987654321");
    assert_eq!(elsewhere.discover().await.unwrap(), vec![]);
    let refused = elsewhere.observe(&stage.desired, Timestamp::now()).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("The connection is to account 210987654321"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_comes_from_the_named_networks_and_only_where_a_key_pair_was_asked_for() {
    let stage = Stage::set().await;
    for (key, wanted) in [("none", vec![]), ("ana", vec!["10.0.0.0/8".to_owned()])] {
        let mut desired = stage.desired.clone();
        desired.id = DeploymentId::new(uuid::Uuid::new_v4());
        desired.spec.instances.key_pair = key.into();
        for kind in [SecurityGroupKind::Monitor, SecurityGroupKind::App] {
            let step = Step::CreateSecurityGroup { kind };
            stage.cloud.apply(&desired, &step).await.unwrap();
        }
        let ec2 = &stage.account.admin.ec2;
        for (kind, wanted) in [(SecurityGroupKind::App, wanted), (SecurityGroupKind::Monitor, vec![])] {
            let name = resource_name(&desired.id, LogicalId::SecurityGroup(kind));
            let filter = aws_sdk_ec2::types::Filter::builder()
                .name("group-name")
                .values(name)
                .build();
            let found = ec2.describe_security_groups().filters(filter).send().await.unwrap();
            let open = found.security_groups()[0].ip_permissions();
            let shell = open.iter().filter(|one| one.from_port() == Some(22));
            let from: Vec<String> = shell
                .flat_map(|one| one.ip_ranges())
                .map(|range| range.cidr_ip().unwrap().to_owned())
                .collect();
            assert_eq!(from, wanted, "{key}");
            assert!(!open.is_empty(), "what else comes in is opened with it");
        }
    }
}
