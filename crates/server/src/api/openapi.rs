//! The OpenAPI 3.1 document, made from the table of calls and from the examples that the tests record.

use axum::Json;
use serde_json::{Map, Value, json};

use super::problem::PROBLEM_TYPE;
use super::routes::{Body, Route, routes};

/// The recorded answers by name; tests rewrite and check them.
const EXAMPLES: [(&str, &str); 13] = [
    ("artifact", include_str!("../../../../docs/api/artifact.json")),
    ("backtest", include_str!("../../../../docs/api/backtest.json")),
    ("control", include_str!("../../../../docs/api/control.json")),
    ("deployment", include_str!("../../../../docs/api/deployment.json")),
    ("deployments", include_str!("../../../../docs/api/deployments.json")),
    ("events", include_str!("../../../../docs/api/events.json")),
    ("healthz", include_str!("../../../../docs/api/healthz.json")),
    ("listeners", include_str!("../../../../docs/api/listeners.json")),
    ("plan", include_str!("../../../../docs/api/plan.json")),
    ("logs", include_str!("../../../../docs/api/logs.json")),
    ("report", include_str!("../../../../docs/api/report.json")),
    ("spec", include_str!("../../../../docs/api/spec.json")),
    ("verdict", include_str!("../../../../docs/api/verdict.json")),
];

pub(crate) async fn openapi() -> Json<Value> {
    Json(document())
}

/// The whole document.
pub(crate) fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes() {
        let calls = paths.entry(route.path()).or_insert_with(|| json!({}));
        calls[route.method.as_str().to_ascii_lowercase()] = operation(&route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Arya",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Canary deployments behind an existing load balancer",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "problem": problem_schema() },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut responses = Map::new();
    let (status, media_types) = route.answers;
    responses.insert(
        status.to_string(),
        json!({ "description": "Done", "content": content(route, media_types) }),
    );
    let open = route.path() == "/healthz";
    let everywhere: &[u16] = if open { &[] } else { &[401, 403] };
    for status in everywhere.iter().chain(route.refuses) {
        let schema = json!({ "$ref": "#/components/schemas/problem" });
        let refusal = json!({ "description": reason(*status), "content": { PROBLEM_TYPE: { "schema": schema } } });
        responses.insert(status.to_string(), refusal);
    }
    let mut operation = json!({ "summary": route.summary, "responses": responses });
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = body(route.body) {
        operation["requestBody"] = body;
    }
    if open {
        operation["security"] = json!([]);
    }
    operation
}

fn reason(status: u16) -> &'static str {
    axum::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Refused")
}

fn content(route: &Route, media_types: &[&str]) -> Value {
    let mut content = Map::new();
    for media_type in media_types {
        let described = match *media_type {
            "application/json" => {
                let example = example(route.example);
                json!({ "schema": schema_of(&example), "example": example })
            }
            _ => json!({ "schema": { "type": "string" } }),
        };
        content.insert((*media_type).to_owned(), described);
    }
    Value::Object(content)
}

/// A recorded example; null where there is none.
fn example(name: &str) -> Value {
    let text = EXAMPLES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn parameters(route: &Route) -> Vec<Value> {
    let text = |name: &str, place: &str, description: &str| json!({ "name": name, "in": place, "required": place == "path", "description": description, "schema": { "type": "string" } });
    let mut parameters = Vec::new();
    let path = route.path();
    if path.contains("{id}") {
        parameters.push(text("id", "path", "The deployment's id"));
    }
    if path.ends_with("/events") {
        parameters.push(text(
            "Last-Event-ID",
            "header",
            "Only events after this sequence number",
        ));
        parameters.push(text("after", "query", "The same, where a header cannot be set"));
    }
    if route.body == Body::File {
        parameters.push(text("filename", "query", "What the file is called; only shown"));
        let kind = "`file` for one of the app's configuration (`env_file`, `files`), which is kept as it is";
        parameters.push(text("kind", "query", kind));
    }
    parameters
}

fn body(body: Body) -> Option<Value> {
    let content = match body {
        Body::None => return None,
        Body::File => json!({ "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } }),
        Body::Spec => {
            let example = example("spec");
            let mut schema = schema_of(&example);
            schema["required"] = json!(["name", "listener", "app", "baseline", "canary"]);
            let described = json!({ "schema": schema, "example": example });
            json!({ "application/json": described, "application/yaml": described })
        }
        Body::Object(keys) | Body::Options(keys) => {
            let properties: Map<String, Value> = keys
                .iter()
                .map(|(name, kind, what)| ((*name).to_owned(), json!({ "type": kind, "description": what })))
                .collect();
            let is_required = matches!(body, Body::Object(_));
            let required: Vec<&str> = keys.iter().filter(|_| is_required).map(|(name, ..)| *name).collect();
            let schema = json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
            json!({ "application/json": { "schema": schema } })
        }
    };
    Some(json!({ "required": true, "content": content }))
}

fn problem_schema() -> Value {
    let text = |what: &str| json!({ "type": "string", "description": what });
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": text("Stable; what a script may match"),
            "title": text("The status in words"),
            "status": { "type": "integer" },
            "detail": text("What happened, and how the world is now"),
            "field": text("The key of the input that is at fault"),
            "next": text("What to do"),
            "problems": { "type": "array", "description": "Each problem of a refused plan" },
        },
    })
}

/// A schema that the example fits. A null says nothing about its type.
fn schema_of(example: &Value) -> Value {
    match example {
        Value::Null => json!({}),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(_) => json!({ "type": "number" }),
        Value::String(_) => json!({ "type": "string" }),
        Value::Array(items) => json!({ "type": "array", "items": items.first().map_or_else(|| json!({}), schema_of) }),
        Value::Object(keys) => {
            let properties: Map<String, Value> = keys
                .iter()
                .map(|(key, value)| (key.clone(), schema_of(value)))
                .collect();
            json!({ "type": "object", "properties": properties })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_in_the_document_and_nothing_else() {
        let document = document();
        let documented: Vec<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, calls)| {
                calls
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(move |method| format!("{method} {path}"))
            })
            .collect();
        let mut served: Vec<String> = routes()
            .iter()
            .map(|r| format!("{} {}", r.method.as_str().to_ascii_lowercase(), r.path()))
            .collect();
        served.sort_by_key(|call| {
            call.split_once(' ')
                .map(|(method, path)| (path.to_owned(), method.to_owned()))
        });
        let mut documented = documented;
        documented.sort_by_key(|call| {
            call.split_once(' ')
                .map(|(method, path)| (path.to_owned(), method.to_owned()))
        });
        assert_eq!(documented, served);
    }

    #[test]
    fn every_json_answer_has_an_example() {
        for route in routes() {
            let (_, media_types) = route.answers;
            let named = EXAMPLES.iter().any(|(name, _)| *name == route.example);
            let needed = media_types.contains(&"application/json") && route.example != "openapi";
            assert_eq!(named, needed, "{}", route.path());
        }
    }
}
