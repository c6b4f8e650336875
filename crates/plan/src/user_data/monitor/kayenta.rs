//! A canary config for the standard metrics, so that Kayenta and Referee open with something to run.

use serde_json::{Value, json};

use super::rules::{CPU, ERROR_SHARE, LATENCY_P95, MEMORY};

/// Name, group, record, and whether a failure of it alone fails the canary.
const METRICS: [(&str, &str, &str, bool); 4] = [
    ("errors", "requests", ERROR_SHARE, true),
    ("latency", "requests", LATENCY_P95, false),
    ("cpu", "resources", CPU, false),
    ("memory", "resources", MEMORY, false),
];

pub(super) fn standard() -> Value {
    let metric = |(name, group, record, critical): (&str, &str, &str, bool)| {
        json!({
            "name": name,
            "groups": [group],
            "scopeName": "default",
            "query": {
                "type": "prometheus",
                "serviceType": "prometheus",
                // The scopes of an execution are the arms.
                "customInlineTemplate": format!("PromQL:avg({record}{{arm=\"${{scope}}\"}})"),
            },
            "analysisConfigurations": {"canary": {
                "direction": "increase",
                "nanStrategy": "remove",
                "critical": critical,
            }},
        })
    };
    json!({
        "name": "arya-standard",
        "description": "Errors, latency, processor and memory of both arms.",
        "configVersion": "1",
        "applications": ["arya"],
        "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}},
        "metrics": METRICS.map(metric),
        "classifier": {"groupWeights": {"requests": 70, "resources": 30}},
    })
}
