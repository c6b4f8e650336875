//! The form and the document, each from the other.

use super::*;

fn pairs(pairs: &[(&str, &str)]) -> NewForm {
    NewForm::posted(
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
    )
}

#[test]
fn a_file_goes_through_the_form_and_comes_out_the_same() {
    let document = json!({
        "name": "emr", "listener": "local:web", "in_front_of": "local:rule-api", "canary_percent": 2.5,
        "stickiness_s": 30, "app": {"port": 8080, "health_check_path": "/health", "protocol": "http",
        "warm_up": {"paths": ["/", "/b"], "in_a_row": 5, "under_ms": 100}},
        "conditions": [{"field": "query-string", "values": [{"key": "beta", "value": "1"}, {"value": "x"}]},
                       {"field": "http-header", "name": "X-A", "values": ["b"]}],
        "baseline": {"image": "sha256:a", "compose": "sha256:b", "services": {"run": ["web"]}},
        "canary": {"image": "sha256:c", "compose": "sha256:d"}, "exporters": [{"job": "app", "port": 8080, "path": "/m"}],
        "analysis": {"on_harmful": "alert", "aa_spell_s": 600}, "lifetime_h": 2, "acknowledged": ["volume:x"],
        "instances": {"per_arm": 1, "tags": {"team": "a"}},
    });
    let (again, problems) = NewForm::of_document(&document).document();
    assert_eq!(problems, Problems::default());
    assert_eq!(again, document);
}

#[test]
fn what_the_spec_needs_is_asked_for_at_its_field() {
    let (_, problems) = pairs(&[("name", " ")]).document();
    for field in [
        "name",
        "listener",
        "app.port",
        "app.health_check_path",
        "baseline.image",
        "canary.compose",
    ] {
        assert!(problems.of(field).is_some(), "{field}");
    }
}

#[test]
fn stickiness_has_no_default() {
    assert!(pairs(&[]).document().1.of("stickiness_s").is_some());
    assert!(pairs(&[("sticky", "on")]).document().1.of("stickiness_s").is_some());
    assert_eq!(
        pairs(&[("sticky", "off"), ("stickiness_s", "30")]).document().0["stickiness_s"],
        0
    );
    assert_eq!(
        pairs(&[("sticky", "on"), ("stickiness_s", "30")]).document().0["stickiness_s"],
        30
    );
}

#[test]
fn what_is_no_number_is_said_and_kept() {
    let form = pairs(&[("app.port", "eighty")]);
    assert_eq!(form.get("app.port"), "eighty");
    assert_eq!(form.document().1.of("app.port"), Some("“eighty” is not a number."));
}

#[test]
fn empty_rows_are_no_conditions() {
    let form = pairs(&[
        ("condition_field", "path-pattern"),
        ("condition_name", ""),
        ("condition_values", ""),
        ("condition_field", "path-pattern"),
        ("condition_name", ""),
        ("condition_values", "/a, /b"),
    ]);
    assert_eq!(
        form.document().0["conditions"],
        json!([{"field": "path-pattern", "values": ["/a", "/b"]}])
    );
}

#[test]
fn the_chosen_rule_names_its_listener_too() {
    let form = pairs(&[("chosen", "arn:listener/1 arn:rule/2")]);
    assert_eq!(
        (form.get("listener"), form.get("in_front_of")),
        ("arn:listener/1", "arn:rule/2")
    );
}

#[test]
fn the_chosen_rule_names_its_connection_unless_it_is_the_usual_one() {
    let form = pairs(&[("chosen", "arn:listener/1 default the shop's")]);
    assert_eq!(form.get("connection"), "the shop's");
    assert_eq!(form.document().0["connection"], "the shop's");
    assert_eq!(form.chosen(), "arn:listener/1 default the shop's");
    let usual = pairs(&[("chosen", "local:web default")]);
    assert_eq!(usual.document().0.get("connection"), None);
    let of_file = NewForm::of_document(&json!({"listener": "local:web", "connection": "default"}));
    assert_eq!(of_file.chosen(), "local:web default");
}

#[test]
fn machines_are_as_productions_or_as_named() {
    let of = |text: &str| {
        let mut form = NewForm::empty();
        form.set("instances.subnets", text);
        form.document().0.pointer("/instances/subnets").cloned()
    };
    assert_eq!(of(""), None);
    assert_eq!(of("same_as_production"), Some(json!("same_as_production")));
    assert_eq!(of("subnet-1, subnet-2"), Some(json!(["subnet-1", "subnet-2"])));
    let named = json!({"instances": {"subnets": ["subnet-1", "subnet-2"], "http_proxy": "http://p:3128"}});
    let form = NewForm::of_document(&named);
    assert_eq!(form.get("instances.subnets"), "subnet-1, subnet-2");
    let (again, _) = form.document();
    assert_eq!(again["instances"]["subnets"], named["instances"]["subnets"]);
    assert_eq!(
        again["instances"]["http_proxy"], "http://p:3128",
        "what has no input is handed on"
    );
}

#[test]
fn tags_are_productions_or_named_and_what_the_input_cannot_say_is_kept() {
    let of = |text: &str| {
        let mut form = NewForm::empty();
        form.set("instances.tags", text);
        let (document, problems) = form.document();
        let said = problems.of("instances.tags").is_some();
        (document.pointer("/instances/tags").cloned(), said)
    };
    assert_eq!(of(""), (None, false));
    assert_eq!(of("same_as_production"), (Some(json!("same_as_production")), false));
    let named = json!({"team": "blue", "url": "a=b", "empty": ""});
    assert_eq!(of("team=blue, url = a=b,empty="), (Some(named), false));
    assert_eq!(of("team"), (None, true));
    assert_eq!(of("team=a, team=b"), (None, true));
    for tags in [
        json!({"team": "blue"}),
        json!("same_as_production"),
        json!({"a=b": "c"}),
        json!({"a": "b, c"}),
        json!({"a": 7}),
    ] {
        let document = json!({"instances": {"tags": tags}});
        let (again, _) = NewForm::of_document(&document).document();
        assert_eq!(again["instances"]["tags"], tags);
    }
}
