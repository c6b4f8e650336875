//! Rewrites of host and URL, verbatim in both directions.

use aws_sdk_elasticloadbalancingv2::types as elb;
use serde_json::{Map, Value, json};

const HOST: &str = "HostHeaderRewriteConfig";
const URL: &str = "UrlRewriteConfig";

/// AWS's own document of a transform.
pub(crate) fn read(listed: &elb::RuleTransform) -> Value {
    let mut document = Map::new();
    let kind = listed.r#type().map(elb::TransformTypeEnum::as_str);
    document.insert("Type".into(), kind.into());
    if let Some(config) = listed.host_header_rewrite_config() {
        document.insert(HOST.into(), rewrites(config.rewrites()));
    }
    if let Some(config) = listed.url_rewrite_config() {
        document.insert(URL.into(), rewrites(config.rewrites()));
    }
    Value::Object(document)
}

fn rewrites(listed: &[elb::RewriteConfig]) -> Value {
    let one = |rewrite: &elb::RewriteConfig| json!({"Regex": rewrite.regex(), "Replace": rewrite.replace()});
    json!({"Rewrites": listed.iter().map(one).collect::<Vec<_>>()})
}

/// `None` for a document that [`read`] did not make.
pub(crate) fn write(document: &Value) -> Option<elb::RuleTransform> {
    let kind = document.get("Type")?.as_str()?;
    let mut builder = elb::RuleTransform::builder().r#type(kind.into());
    if let Some(config) = document.get(HOST) {
        let rewrites = Some(written(config)?);
        builder =
            builder.host_header_rewrite_config(elb::HostHeaderRewriteConfig::builder().set_rewrites(rewrites).build());
    }
    if let Some(config) = document.get(URL) {
        let rewrites = Some(written(config)?);
        builder = builder.url_rewrite_config(elb::UrlRewriteConfig::builder().set_rewrites(rewrites).build());
    }
    Some(builder.build())
}

fn written(config: &Value) -> Option<Vec<elb::RewriteConfig>> {
    let one = |rewrite: &Value| {
        let text = |key| Some(rewrite.get(key)?.as_str()?.to_owned());
        elb::RewriteConfig::builder()
            .set_regex(text("Regex"))
            .set_replace(text("Replace"))
            .build()
    };
    Some(config.get("Rewrites")?.as_array()?.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewrite_survives_the_wire() {
        let document = json!({
            "Type": "url-rewrite",
            "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/v1/(.*)", "Replace": "/$1"}]},
        });
        assert_eq!(read(&write(&document).unwrap()), document);
        let host = json!({
            "Type": "host-header-rewrite",
            "HostHeaderRewriteConfig": {"Rewrites": [{"Regex": "^a", "Replace": "b"}]},
        });
        assert_eq!(read(&write(&host).unwrap()), host);
    }

    #[test]
    fn what_is_no_rewrite_is_not_written() {
        assert!(write(&json!({"UrlRewriteConfig": {}})).is_none());
        assert!(write(&json!("url-rewrite")).is_none());
    }
}
