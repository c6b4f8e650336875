//! Conditions of a rule.
//!
//! AWS also has conditions by regular expression, for which the planner has no word. Such a one is read as a condition on
//! a header that cannot exist: nothing can be proven about it, nothing else matches it, and written back it is what it was.

use arya_plan::listener::{Condition, QueryValue};
use aws_sdk_elasticloadbalancingv2::types as elb;

/// In front of the field's name. A colon cannot stand in a header's name.
const REGEX: &str = "regex:";
/// Between the field's name and the header's, for regular expressions on headers.
const OF_HEADER: &str = "http-header:";

pub(crate) fn read(listed: &elb::RuleCondition) -> Condition {
    let field = listed.field().unwrap_or_default();
    let plain = listed.values().to_vec();
    let or_plain = |values: &[String]| {
        if values.is_empty() {
            plain.clone()
        } else {
            values.to_vec()
        }
    };
    let regex = |of: &str, values: &[String]| Condition::HttpHeader {
        name: format!("{REGEX}{of}"),
        values: values.to_vec(),
    };
    match field {
        "path-pattern" => match listed.path_pattern_config() {
            Some(config) if !config.regex_values().is_empty() => regex(field, config.regex_values()),
            config => Condition::PathPattern {
                values: or_plain(config.map_or(&[][..], |config| config.values())),
            },
        },
        "host-header" => match listed.host_header_config() {
            Some(config) if !config.regex_values().is_empty() => regex(field, config.regex_values()),
            config => Condition::HostHeader {
                values: or_plain(config.map_or(&[][..], |config| config.values())),
            },
        },
        "http-header" => header(listed.http_header_config()),
        "http-request-method" => Condition::HttpRequestMethod {
            values: or_plain(
                listed
                    .http_request_method_config()
                    .map_or(&[][..], |config| config.values()),
            ),
        },
        "query-string" => {
            let pairs = listed.query_string_config().map_or(&[][..], |config| config.values());
            let pair = |pair: &elb::QueryStringKeyValuePair| QueryValue {
                key: pair.key().map(str::to_owned),
                value: pair.value().unwrap_or_default().to_owned(),
            };
            Condition::QueryString {
                values: pairs.iter().map(pair).collect(),
            }
        }
        "source-ip" => source_ip(&or_plain(
            listed.source_ip_config().map_or(&[][..], |config| config.values()),
        )),
        unknown => unreadable(unknown, &plain),
    }
}

fn header(config: Option<&elb::HttpHeaderConditionConfig>) -> Condition {
    let name = config.and_then(|config| config.http_header_name()).unwrap_or_default();
    let regex = config.map_or(&[][..], |config| config.regex_values());
    let values = config.map_or(&[][..], |config| config.values());
    if regex.is_empty() {
        Condition::HttpHeader {
            name: name.to_owned(),
            values: values.to_vec(),
        }
    } else {
        Condition::HttpHeader {
            name: format!("{REGEX}{OF_HEADER}{name}"),
            values: regex.to_vec(),
        }
    }
}

fn source_ip(values: &[String]) -> Condition {
    let parsed: Option<Vec<_>> = values.iter().map(|value| value.parse().ok()).collect();
    parsed.map_or_else(
        || unreadable("source-ip", values),
        |values| Condition::SourceIp { values },
    )
}

/// A field that AWS invented since: nothing can be proven about it, and AWS refuses it where it is written back.
fn unreadable(field: &str, values: &[String]) -> Condition {
    Condition::HttpHeader {
        name: format!("{field}:"),
        values: values.to_vec(),
    }
}

pub(crate) fn write(condition: &Condition) -> elb::RuleCondition {
    let builder = elb::RuleCondition::builder();
    let own = |values: &[String]| Some(values.to_vec());
    match condition {
        Condition::HttpHeader { name, values } if name.starts_with(REGEX) => regex(&name[REGEX.len()..], values),
        Condition::PathPattern { values } => builder.field(condition.field()).path_pattern_config(
            elb::PathPatternConditionConfig::builder()
                .set_values(own(values))
                .build(),
        ),
        Condition::HostHeader { values } => builder.field(condition.field()).host_header_config(
            elb::HostHeaderConditionConfig::builder()
                .set_values(own(values))
                .build(),
        ),
        Condition::HttpHeader { name, values } => builder.field(condition.field()).http_header_config(
            elb::HttpHeaderConditionConfig::builder()
                .http_header_name(name)
                .set_values(own(values))
                .build(),
        ),
        Condition::HttpRequestMethod { values } => builder.field(condition.field()).http_request_method_config(
            elb::HttpRequestMethodConditionConfig::builder()
                .set_values(own(values))
                .build(),
        ),
        Condition::QueryString { values } => {
            let pair = |value: &QueryValue| {
                elb::QueryStringKeyValuePair::builder()
                    .set_key(value.key.clone())
                    .value(&value.value)
                    .build()
            };
            let config = elb::QueryStringConditionConfig::builder().set_values(Some(values.iter().map(pair).collect()));
            builder.field(condition.field()).query_string_config(config.build())
        }
        Condition::SourceIp { values } => {
            let texts = values.iter().map(ToString::to_string).collect();
            let config = elb::SourceIpConditionConfig::builder().set_values(Some(texts));
            builder.field(condition.field()).source_ip_config(config.build())
        }
    }
    .build()
}

fn regex(of: &str, values: &[String]) -> elb::builders::RuleConditionBuilder {
    let values = Some(values.to_vec());
    let builder = elb::RuleCondition::builder();
    match of.strip_prefix(OF_HEADER) {
        Some(header) => builder.field("http-header").http_header_config(
            elb::HttpHeaderConditionConfig::builder()
                .http_header_name(header)
                .set_regex_values(values)
                .build(),
        ),
        None if of == "host-header" => builder.field(of).host_header_config(
            elb::HostHeaderConditionConfig::builder()
                .set_regex_values(values)
                .build(),
        ),
        None => builder.field(of).path_pattern_config(
            elb::PathPatternConditionConfig::builder()
                .set_regex_values(values)
                .build(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(condition: Condition) {
        assert_eq!(read(&write(&condition)), condition);
    }

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_condition_survives_the_wire() {
        check(Condition::PathPattern {
            values: texts(&["/api/*", "/v2/?"]),
        });
        check(Condition::HostHeader {
            values: texts(&["*.example.com"]),
        });
        check(Condition::HttpHeader {
            name: "X-Group".into(),
            values: texts(&["a", "b"]),
        });
        check(Condition::HttpRequestMethod {
            values: texts(&["GET", "HEAD"]),
        });
        check(Condition::SourceIp {
            values: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        });
        let with_key = QueryValue {
            key: Some("v".into()),
            value: "2".into(),
        };
        let without = QueryValue {
            key: None,
            value: "beta".into(),
        };
        check(Condition::QueryString {
            values: vec![with_key, without],
        });
    }

    #[test]
    fn a_regular_expression_comes_back_as_it_was_and_matches_nothing_here() {
        let path = elb::PathPatternConditionConfig::builder()
            .regex_values("^/a[0-9]+$")
            .build();
        let listed = elb::RuleCondition::builder()
            .field("path-pattern")
            .path_pattern_config(path)
            .build();
        let condition = read(&listed);
        assert_eq!(condition.field(), "http-header");
        assert_eq!(write(&condition), listed);
        for of in ["regex:host-header", "regex:http-header:X-Group"] {
            check(Condition::HttpHeader {
                name: of.into(),
                values: texts(&["^a"]),
            });
        }
    }

    #[test]
    fn the_old_form_of_a_condition_is_read_too() {
        let old = elb::RuleCondition::builder()
            .field("host-header")
            .values("a.example")
            .build();
        let values = texts(&["a.example"]);
        assert_eq!(read(&old), Condition::HostHeader { values });
    }

    #[test]
    fn a_field_that_nobody_knows_is_kept_as_one_that_matches_nothing() {
        let new = elb::RuleCondition::builder().field("tls-version").values("1.3").build();
        let values = texts(&["1.3"]);
        let name = "tls-version:".into();
        assert_eq!(read(&new), Condition::HttpHeader { name, values });
    }
}
