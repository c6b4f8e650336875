//! What stands around a listener, read from an account whose network and owners people change.

use arya_aws::AwsCloud;
use arya_plan::spec::OneOrMany;
use arya_plan::surroundings::{Surroundings, Tenure, WayOut};
use aws_sdk_elasticloadbalancingv2::types as elb;

use crate::stage::{Stage, settings};

/// By a cloud that remembers nothing.
async fn around(stage: &Stage) -> Surroundings {
    let cloud = AwsCloud::connect(settings(stage.moto.endpoint(), stage.dir.path()))
        .await
        .unwrap();
    let site = stage.site().await;
    cloud.surroundings(&stage.desired.spec, &site).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn subnets_are_read_with_their_zones_and_ways_out() {
    let stage = Stage::set().await;
    let found = around(&stage).await;
    assert_eq!((&found.rights.missing, found.tenure), (&vec![], Tenure::Lasting));
    let mut ids: Vec<String> = found.subnets.iter().map(|one| one.id.clone()).collect();
    ids.sort();
    assert_eq!(stage.desired.spec.instances.subnets, OneOrMany::Many(ids));
    assert!(
        found.subnets.iter().all(|one| one.zone_is_served && one.is_in_network),
        "{found:?}"
    );
    assert!(
        found.subnets.iter().all(|one| one.way_out == WayOut::Nowhere),
        "{found:?}"
    );
    assert!(!found.balancer_is_shut_in && found.controller.is_none(), "{found:?}");
    assert!(
        found.burstable.is_empty() && found.shrinking.is_empty() && found.scaled.is_empty(),
        "{found:?}"
    );

    let ec2 = &stage.account.admin.ec2;
    let network = found.subnets[0].network.clone();
    let gateway = ec2
        .create_internet_gateway()
        .send()
        .await
        .unwrap()
        .internet_gateway
        .unwrap();
    let gateway = gateway.internet_gateway_id.unwrap();
    let request = ec2.attach_internet_gateway().internet_gateway_id(&gateway);
    request.vpc_id(&network).send().await.unwrap();
    let tables = ec2.describe_route_tables().send().await.unwrap().route_tables.unwrap();
    let main = tables
        .into_iter()
        .find(|table| table.vpc_id() == Some(&network))
        .unwrap();
    let request = ec2.create_route().set_route_table_id(main.route_table_id);
    let request = request.destination_cidr_block("0.0.0.0/0").gateway_id(&gateway);
    request.send().await.unwrap();
    let yes = aws_sdk_ec2::types::AttributeBooleanValue::builder().value(true).build();
    let request = ec2.modify_subnet_attribute().subnet_id(&found.subnets[0].id);
    request.map_public_ip_on_launch(yes).send().await.unwrap();
    let opened = around(&stage).await;
    let way = |id: &str| opened.subnets.iter().find(|one| one.id == id).unwrap().way_out.clone();
    assert_eq!(way(&found.subnets[0].id), WayOut::Own);
    assert_eq!(
        way(&found.subnets[1].id),
        WayOut::Nowhere,
        "its instances get no address"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listeners_owner_is_known_by_its_tags() {
    let stage = Stage::set().await;
    let admin = &stage.account.admin;
    let tag = elb::Tag::builder().key("elbv2.k8s.aws/cluster").value("prod").build();
    let request = admin.elb.add_tags().resource_arns(&stage.account.listener).tags(tag);
    request.send().await.unwrap();
    let found = around(&stage).await;
    assert!(found.controller.unwrap().ends_with("cluster prod"));
}
