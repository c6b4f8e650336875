//! Actions of a rule: forwards in the planner's words, logins verbatim.

use std::collections::HashMap;

use arya_plan::listener::{Action, Forward, GroupId, WeightedGroup};
use aws_sdk_elasticloadbalancingv2::types as elb;
use serde_json::{Map, Value, json};

/// In the order in which they are carried out. An action of a kind that AWS invented since is read as an answer of the
/// balancer's own, so that nothing stands in front of it.
pub(crate) fn read(listed: &[elb::Action]) -> Vec<Action> {
    let mut ordered: Vec<_> = listed.iter().collect();
    ordered.sort_by_key(|action| action.order().unwrap_or(i32::MAX));
    ordered.into_iter().map(one).collect()
}

fn one(listed: &elb::Action) -> Action {
    match listed.r#type() {
        Some(elb::ActionTypeEnum::Forward) => Action::Forward(forward(listed)),
        Some(elb::ActionTypeEnum::AuthenticateCognito) => Action::AuthenticateCognito {
            verbatim: listed.authenticate_cognito_config().map_or(Value::Null, cognito),
        },
        Some(elb::ActionTypeEnum::AuthenticateOidc) => Action::AuthenticateOidc {
            verbatim: listed.authenticate_oidc_config().map_or(Value::Null, oidc),
        },
        Some(elb::ActionTypeEnum::JwtValidation) => Action::JwtValidation {
            verbatim: listed.jwt_validation_config().map_or(Value::Null, jwt),
        },
        Some(elb::ActionTypeEnum::Redirect) => Action::Redirect {
            verbatim: listed.redirect_config().map_or(Value::Null, redirect),
        },
        Some(_) | None => {
            let config = listed.fixed_response_config();
            let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
            Action::FixedResponse {
                status: config
                    .and_then(|config| config.status_code()?.parse().ok())
                    .unwrap_or(0),
                content_type: text(config.and_then(|config| config.content_type())),
                body: text(config.and_then(|config| config.message_body())),
            }
        }
    }
}

fn forward(listed: &elb::Action) -> Forward {
    let config = listed.forward_config();
    let weighted = |tuple: &elb::TargetGroupTuple| {
        let group = GroupId::new(tuple.target_group_arn()?);
        // With one group AWS may leave the weight out; it then gets everything, as with any weight.
        let weight = tuple.weight().unwrap_or(1);
        Some(WeightedGroup {
            group,
            weight: u16::try_from(weight).unwrap_or(0),
        })
    };
    let listed_groups = config.map_or(&[][..], |config| config.target_groups());
    let mut groups: Vec<_> = listed_groups.iter().filter_map(weighted).collect();
    if groups.is_empty() {
        groups.extend(listed.target_group_arn().map(|arn| WeightedGroup {
            group: GroupId::new(arn),
            weight: 1,
        }));
    }
    let stickiness = config.and_then(|config| config.target_group_stickiness_config());
    let stickiness_s = stickiness
        .filter(|stickiness| stickiness.enabled() == Some(true))
        .and_then(|stickiness| u32::try_from(stickiness.duration_seconds()?).ok());
    Forward { groups, stickiness_s }
}

/// A document of the fields that have a value, with AWS's names.
fn document(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let there = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}

fn text(value: Option<&str>) -> Option<Value> {
    value.map(Value::from)
}

fn extra(parameters: Option<&HashMap<String, String>>) -> Option<Value> {
    parameters
        .filter(|parameters| !parameters.is_empty())
        .map(|parameters| json!(parameters))
}

fn cognito(config: &elb::AuthenticateCognitoActionConfig) -> Value {
    document([
        ("UserPoolArn", text(config.user_pool_arn())),
        ("UserPoolClientId", text(config.user_pool_client_id())),
        ("UserPoolDomain", text(config.user_pool_domain())),
        ("SessionCookieName", text(config.session_cookie_name())),
        ("Scope", text(config.scope())),
        ("SessionTimeout", config.session_timeout().map(Value::from)),
        (
            "AuthenticationRequestExtraParams",
            extra(config.authentication_request_extra_params()),
        ),
        (
            "OnUnauthenticatedRequest",
            text(config.on_unauthenticated_request().map(|behaviour| behaviour.as_str())),
        ),
    ])
}

fn oidc(config: &elb::AuthenticateOidcActionConfig) -> Value {
    document([
        ("Issuer", text(config.issuer())),
        ("AuthorizationEndpoint", text(config.authorization_endpoint())),
        ("TokenEndpoint", text(config.token_endpoint())),
        ("UserInfoEndpoint", text(config.user_info_endpoint())),
        ("ClientId", text(config.client_id())),
        ("SessionCookieName", text(config.session_cookie_name())),
        ("Scope", text(config.scope())),
        ("SessionTimeout", config.session_timeout().map(Value::from)),
        (
            "AuthenticationRequestExtraParams",
            extra(config.authentication_request_extra_params()),
        ),
        (
            "OnUnauthenticatedRequest",
            text(config.on_unauthenticated_request().map(|behaviour| behaviour.as_str())),
        ),
    ])
}

fn jwt(config: &elb::JwtValidationActionConfig) -> Value {
    let claim = |claim: &elb::JwtValidationActionAdditionalClaim| {
        document([
            ("Format", text(claim.format().map(|format| format.as_str()))),
            ("Name", text(claim.name())),
            ("Values", Some(json!(claim.values()))),
        ])
    };
    let claims: Vec<_> = config.additional_claims().iter().map(claim).collect();
    document([
        ("JwksEndpoint", text(config.jwks_endpoint())),
        ("Issuer", text(config.issuer())),
        ("AdditionalClaims", (!claims.is_empty()).then_some(Value::Array(claims))),
    ])
}

fn redirect(config: &elb::RedirectActionConfig) -> Value {
    document([
        ("Protocol", text(config.protocol())),
        ("Port", text(config.port())),
        ("Host", text(config.host())),
        ("Path", text(config.path())),
        ("Query", text(config.query())),
        ("StatusCode", text(config.status_code().map(|status| status.as_str()))),
    ])
}

/// The actions of a rule of ours. `None` for one that the planner never asks for: a login whose secret nobody has, or an
/// answer of the balancer's own.
pub(crate) fn write(actions: &[Action]) -> Option<Vec<elb::Action>> {
    let numbered = (1..).zip(actions).map(|(order, action)| written(order, action));
    numbered.collect()
}

fn written(order: i32, action: &Action) -> Option<elb::Action> {
    let builder = elb::Action::builder().order(order);
    let builder = match action {
        Action::Forward(forward) => builder
            .r#type(elb::ActionTypeEnum::Forward)
            .forward_config(written_forward(forward)),
        Action::AuthenticateCognito { verbatim } => builder
            .r#type(elb::ActionTypeEnum::AuthenticateCognito)
            .authenticate_cognito_config(written_cognito(verbatim)?),
        Action::JwtValidation { verbatim } => builder
            .r#type(elb::ActionTypeEnum::JwtValidation)
            .jwt_validation_config(written_jwt(verbatim)),
        Action::FixedResponse {
            status,
            content_type,
            body,
        } => builder
            .r#type(elb::ActionTypeEnum::FixedResponse)
            .fixed_response_config(
                elb::FixedResponseActionConfig::builder()
                    .status_code(status.to_string())
                    .content_type(content_type)
                    .message_body(body)
                    .build(),
            ),
        Action::AuthenticateOidc { .. } | Action::Redirect { .. } => return None,
    };
    Some(builder.build())
}

fn written_forward(forward: &Forward) -> elb::ForwardActionConfig {
    let tuple = |weighted: &WeightedGroup| {
        elb::TargetGroupTuple::builder()
            .target_group_arn(weighted.group.as_str())
            .weight(i32::from(weighted.weight))
            .build()
    };
    let stickiness = elb::TargetGroupStickinessConfig::builder().enabled(forward.stickiness_s.is_some());
    let duration = forward.stickiness_s.and_then(|seconds| i32::try_from(seconds).ok());
    elb::ForwardActionConfig::builder()
        .set_target_groups(Some(forward.groups.iter().map(tuple).collect()))
        .target_group_stickiness_config(stickiness.set_duration_seconds(duration).build())
        .build()
}

fn owned(document: &Value, key: &str) -> Option<String> {
    Some(document.get(key)?.as_str()?.to_owned())
}

fn written_cognito(document: &Value) -> Option<elb::AuthenticateCognitoActionConfig> {
    let parameters = document
        .get("AuthenticationRequestExtraParams")
        .and_then(Value::as_object);
    let parameters = parameters.map(|parameters| {
        let pairs = parameters.iter();
        pairs
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    });
    elb::AuthenticateCognitoActionConfig::builder()
        .set_user_pool_arn(owned(document, "UserPoolArn"))
        .set_user_pool_client_id(owned(document, "UserPoolClientId"))
        .set_user_pool_domain(owned(document, "UserPoolDomain"))
        .set_session_cookie_name(owned(document, "SessionCookieName"))
        .set_scope(owned(document, "Scope"))
        .set_session_timeout(document.get("SessionTimeout").and_then(Value::as_i64))
        .set_authentication_request_extra_params(parameters)
        .set_on_unauthenticated_request(owned(document, "OnUnauthenticatedRequest").as_deref().map(Into::into))
        .build()
        .into()
}

fn written_jwt(document: &Value) -> elb::JwtValidationActionConfig {
    let claim = |claim: &Value| {
        let values = claim.get("Values").and_then(Value::as_array);
        let texts = values.map(|values| {
            values
                .iter()
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect()
        });
        elb::JwtValidationActionAdditionalClaim::builder()
            .set_format(owned(claim, "Format").as_deref().map(Into::into))
            .set_name(owned(claim, "Name"))
            .set_values(texts)
            .build()
    };
    let claims = document.get("AdditionalClaims").and_then(Value::as_array);
    elb::JwtValidationActionConfig::builder()
        .set_jwks_endpoint(owned(document, "JwksEndpoint"))
        .set_issuer(owned(document, "Issuer"))
        .set_additional_claims(claims.map(|claims| claims.iter().map(claim).collect()))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(weights: &[u16], stickiness_s: Option<u32>) -> Action {
        let weighted = |(number, weight): (usize, &u16)| WeightedGroup {
            group: GroupId::new(format!("arn:group/{number}")),
            weight: *weight,
        };
        Action::Forward(Forward {
            groups: weights.iter().enumerate().map(weighted).collect(),
            stickiness_s,
        })
    }

    #[track_caller]
    fn check(actions: &[Action]) {
        assert_eq!(read(&write(actions).unwrap()), actions);
    }

    #[test]
    fn what_our_rules_do_survives_the_wire() {
        check(&[forward(&[998, 1, 1], None)]);
        check(&[forward(&[1], Some(600))]);
        let cognito = json!({
            "UserPoolArn": "arn:pool", "UserPoolClientId": "c", "UserPoolDomain": "d", "SessionTimeout": 600,
            "AuthenticationRequestExtraParams": {"prompt": "login"}, "OnUnauthenticatedRequest": "authenticate",
        });
        check(&[
            Action::AuthenticateCognito { verbatim: cognito },
            forward(&[90, 5, 5], None),
        ]);
        let jwt = json!({
            "JwksEndpoint": "https://a.example/keys", "Issuer": "https://a.example",
            "AdditionalClaims": [{"Format": "single-string", "Name": "scope", "Values": ["read"]}],
        });
        check(&[Action::JwtValidation { verbatim: jwt }, forward(&[1, 0], None)]);
    }

    #[test]
    fn actions_are_read_in_their_order_and_one_group_needs_no_weight() {
        let last = elb::Action::builder()
            .r#type(elb::ActionTypeEnum::Forward)
            .order(50_000)
            .target_group_arn("arn:group/0");
        let first = elb::Action::builder()
            .r#type(elb::ActionTypeEnum::AuthenticateOidc)
            .order(1);
        let actions = read(&[last.build(), first.build()]);
        assert!(matches!(actions[0], Action::AuthenticateOidc { .. }), "{actions:?}");
        assert_eq!(actions[1], forward(&[1], None));
    }

    #[test]
    fn what_nobody_may_write_is_not_written() {
        let verbatim = Value::Null;
        assert!(
            write(&[Action::AuthenticateOidc {
                verbatim: verbatim.clone()
            }])
            .is_none()
        );
        assert!(write(&[Action::Redirect { verbatim }]).is_none());
    }

    #[test]
    fn a_kind_of_action_that_nobody_knows_forwards_to_nobody() {
        let new = elb::Action::builder().r#type("ask-an-oracle".into()).build();
        assert!(matches!(read(&[new])[0], Action::FixedResponse { .. }));
    }
}
