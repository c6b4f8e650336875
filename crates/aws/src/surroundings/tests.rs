use arya_plan::listener::{Priority, RuleId};

use super::*;

fn table(associations: &[(Option<&str>, bool)], routes: Vec<ec2::Route>) -> ec2::RouteTable {
    let association = |(subnet, main): &(Option<&str>, bool)| {
        ec2::RouteTableAssociation::builder()
            .set_subnet_id(subnet.map(str::to_owned))
            .main(*main)
            .build()
    };
    ec2::RouteTable::builder()
        .set_associations(Some(associations.iter().map(association).collect()))
        .set_routes(Some(routes))
        .build()
}

fn out() -> ec2::builders::RouteBuilder {
    ec2::Route::builder().destination_cidr_block("0.0.0.0/0")
}

fn within() -> ec2::Route {
    ec2::Route::builder()
        .destination_cidr_block("10.0.0.0/16")
        .gateway_id("local")
        .build()
}

#[test]
fn a_subnets_own_table_counts_before_the_main_one() {
    let tables = [
        table(&[(None, true)], vec![within(), out().gateway_id("igw-1").build()]),
        table(
            &[(Some("subnet-private"), false)],
            vec![within(), out().nat_gateway_id("nat-1").build()],
        ),
        table(&[(Some("subnet-shut"), false)], vec![within()]),
        table(
            &[(Some("subnet-transit"), false)],
            vec![out().transit_gateway_id("tgw-1").build()],
        ),
    ];
    let named = BTreeMap::from([("nat-1".to_owned(), "the NAT gateway nat-1 (198.51.100.7)".to_owned())]);
    let way = |subnet: &str| way_out(subnet, &tables, &named);
    assert_eq!(way("subnet-public"), WayOut::Own);
    assert_eq!(
        way("subnet-private"),
        WayOut::Shared("the NAT gateway nat-1 (198.51.100.7)".into())
    );
    assert_eq!(way("subnet-shut"), WayOut::Nowhere);
    assert_eq!(
        way("subnet-transit"),
        WayOut::Elsewhere("the transit gateway tgw-1".into())
    );
}

#[test]
fn a_route_to_what_is_gone_and_a_public_subnet_without_addresses_lead_nowhere() {
    let dead = out().nat_gateway_id("nat-1").state(ec2::RouteState::Blackhole).build();
    let tables = [table(&[(None, true)], vec![dead])];
    assert_eq!(way_out("subnet-a", &tables, &BTreeMap::new()), WayOut::Nowhere);
    assert_eq!(with_address(WayOut::Own, false), WayOut::Nowhere);
    assert_eq!(with_address(WayOut::Own, true), WayOut::Own);
    let shared = WayOut::Shared("the NAT gateway nat-1".into());
    assert_eq!(with_address(shared.clone(), false), shared);
}

#[test]
fn a_controller_is_known_by_its_tags() {
    let tag = |key: &str, value: &str| elb::Tag::builder().key(key).value(value).build();
    assert_eq!(controller(&[tag("team", "shop")]), None);
    let named = controller(&[
        tag("ingress.k8s.aws/stack", "shop/web"),
        tag("elbv2.k8s.aws/cluster", "prod"),
    ]);
    assert!(named.unwrap().ends_with("the Kubernetes cluster prod"));
    let unnamed = controller(&[tag("service.k8s.aws/stack", "shop/web")]);
    assert!(unnamed.unwrap().contains("service.k8s.aws/stack"));
}

#[test]
fn a_group_is_scaled_by_whom_its_instances_name() {
    let instance = |id: &str, key: &str| {
        let tag = ec2::Tag::builder().key(key).value("web").build();
        ec2::Instance::builder().instance_id(id).tags(tag).build()
    };
    let instances = [instance("i-1", "aws:autoscaling:groupName"), instance("i-2", "Name")];
    let group = |name: &str| GroupId::new(name);
    let whose = [("i-1", "blue"), ("i-2", "green")].map(|(id, name)| (id.to_owned(), group(name)));
    let found = scaled(&instances, &whose.into());
    assert_eq!(
        found,
        BTreeMap::from([(group("blue"), "the Auto Scaling group web".to_owned())])
    );
}

#[test]
fn a_network_of_caches_is_known_by_the_headers_that_rules_ask_for() {
    let rule = |name: &str| Rule {
        id: RuleId::new(name),
        priority: Priority::At(1),
        conditions: vec![Condition::HttpHeader {
            name: name.into(),
            values: vec!["secret".into()],
        }],
        actions: vec![],
        transforms: vec![],
        owner: None,
    };
    let found = caches(&[rule("X-Origin-Verify"), rule("X-Tenant")]);
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        ["a rule asks for the header X-Origin-Verify"]
    );
}

#[test]
fn a_balancer_reaches_the_port_that_its_group_lets_out() {
    let permission = |protocol: &str, from: i32, to: i32| {
        ec2::IpPermission::builder()
            .ip_protocol(protocol)
            .from_port(from)
            .to_port(to)
            .build()
    };
    assert!(allows(&ec2::IpPermission::builder().ip_protocol("-1").build(), 8080));
    assert!(allows(&permission("tcp", 8000, 9000), 8080));
    assert!(!allows(&permission("tcp", 443, 443), 8080));
    assert!(!allows(&permission("udp", 8000, 9000), 8080));
}

#[test]
fn a_role_is_passed_in_the_listeners_own_part_of_aws() {
    let passed = |listener: &str| passing("shop", &ListenerId::new(listener), "123456789012")["Resource"][0].clone();
    let of = |partition: &str, region: &str| {
        format!("arn:{partition}:elasticloadbalancing:{region}:123456789012:listener/app/shop/1/2")
    };
    assert_eq!(
        passed(&of("aws-us-gov", "us-gov-west-1")),
        "arn:aws-us-gov:iam::123456789012:role/shop"
    );
    assert_eq!(passed(&of("aws", "eu-west-1")), "arn:aws:iam::123456789012:role/shop");
}

#[test]
fn tags_that_no_more_fit_are_named_and_none_where_a_person_chose() {
    let limit = limits::TAGS;
    let all: BTreeMap<String, String> = (0..limit + 2).map(|n| (format!("tag-{n:02}"), n.to_string())).collect();
    let tag = |(name, value): (&String, &String)| ec2::Tag::builder().key(name).value(value).build();
    let production = [ec2::Instance::builder()
        .set_tags(Some(all.iter().map(tag).collect()))
        .build()];
    let first: BTreeMap<_, _> = all.clone().into_iter().take(limit).collect();
    let rest: BTreeSet<_> = all.keys().skip(limit).cloned().collect();
    assert_eq!(tags_left_out(&Tags::Named(first), &production), rest);
    let chosen: BTreeMap<_, _> = all.into_iter().skip(1).take(limit).collect();
    assert_eq!(tags_left_out(&Tags::Named(chosen), &production), BTreeSet::new());
    assert_eq!(tags_left_out(&Tags::default(), &production), BTreeSet::new());
}
