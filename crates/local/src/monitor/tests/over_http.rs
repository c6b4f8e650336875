//! The HTTP API, as a client of Prometheus sees it.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::*;

fn sample() -> Monitor {
    let labels = |path: &str| Labels::from_pairs([(METRIC_NAME, "x"), ("path", path)]);
    holding(&[
        (labels("/a"), vec![(1000, 1.0), (2500, 2.0)]),
        (labels("/b"), vec![(1000, 10.5)]),
    ])
}

async fn call(method: Method, path: &str, form: &str) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(Full::new(Bytes::from(form.to_owned())))
        .unwrap();
    let answer = sample().handle(request).await;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[track_caller]
fn success(answer: (u16, Value), data: Value) {
    assert_eq!(answer, (200, json!({"status": "success", "data": data})));
}

#[track_caller]
fn bad_data(answer: (u16, Value), reason: &str) {
    assert_eq!(
        (answer.0, &answer.1["status"], &answer.1["errorType"]),
        (400, &json!("error"), &json!("bad_data"))
    );
    assert!(answer.1["error"].as_str().unwrap().contains(reason), "{}", answer.1);
}

#[tokio::test]
async fn an_instant_query_answers_get_and_post() {
    let result = json!({"resultType": "vector", "result": [{"metric": {"path": "/b"}, "value": [2.5, "21"]}]});
    success(
        call(
            Method::GET,
            "/monitor/api/v1/query?query=x%7Bpath%3D%22%2Fb%22%7D*2&time=2.5",
            "",
        )
        .await,
        result.clone(),
    );
    success(
        call(
            Method::POST,
            "/api/v1/query",
            "query=x%7Bpath%3D%22/b%22%7D*2&time=1970-01-01T00:00:02.5Z",
        )
        .await,
        result,
    );
    let scalar = json!({"resultType": "scalar", "result": [2, "+Inf"]});
    success(call(Method::GET, "/api/v1/query?query=1/0&time=2", "").await, scalar);
}

#[tokio::test]
async fn a_range_query_answers_a_matrix() {
    let result =
        json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "11.5"], [2, "11.5"], [3, "12.5"]]}]});
    success(
        call(
            Method::GET,
            "/api/v1/query_range?query=sum(x)&start=0&end=3&step=1s",
            "",
        )
        .await,
        result.clone(),
    );
    success(
        call(Method::GET, "/api/v1/query_range?query=sum(x)&start=1&end=3&step=1", "").await,
        result,
    );
}

#[tokio::test]
async fn series_and_labels_are_listed() {
    let all = json!([{"__name__": "x", "path": "/a"}, {"__name__": "x", "path": "/b"}]);
    success(
        call(Method::GET, "/api/v1/series?match[]=x&match[]=%7Bpath=%22/a%22%7D", "").await,
        all,
    );
    success(
        call(Method::GET, "/api/v1/series?match[]=x&start=2&end=3", "").await,
        json!([{"__name__": "x", "path": "/a"}]),
    );
    success(
        call(Method::GET, "/api/v1/label/path/values", "").await,
        json!(["/a", "/b"]),
    );
    success(
        call(Method::GET, "/api/v1/label/__name__/values", "").await,
        json!(["x"]),
    );
    success(
        call(Method::GET, "/api/v1/labels", "").await,
        json!(["__name__", "path"]),
    );
}

#[tokio::test]
async fn bad_requests_are_bad_data() {
    bad_data(
        call(Method::GET, "/api/v1/query?query=sum(", "").await,
        "1:5: parse error",
    );
    bad_data(call(Method::GET, "/api/v1/query", "").await, "\"query\"");
    bad_data(
        call(Method::GET, "/api/v1/query?query=x&time=soon", "").await,
        "valid timestamp",
    );
    bad_data(
        call(Method::GET, "/api/v1/query_range?query=x&start=0&end=1", "").await,
        "valid duration",
    );
    bad_data(
        call(Method::GET, "/api/v1/query_range?query=x&start=0&end=1&step=-1", "").await,
        "step",
    );
    bad_data(
        call(Method::GET, "/api/v1/query_range?query=x&start=2&end=1&step=1", "").await,
        "before start",
    );
    bad_data(call(Method::GET, "/api/v1/series", "").await, "match[]");
    bad_data(
        call(Method::POST, "/api/v1/query", &"x".repeat(70_000)).await,
        "longer than",
    );
    assert_eq!(call(Method::GET, "/api/v1/nothing", "").await.0, 404);
    assert_eq!(call(Method::GET, "/elsewhere", "").await.0, 404);
    assert_eq!(call(Method::DELETE, "/api/v1/series?match[]=x", "").await.0, 405);
}

#[tokio::test]
async fn a_query_without_an_answer_is_an_execution_error() {
    let (status, answer) = call(
        Method::GET,
        "/api/v1/query?query=label_replace(x,%22path%22,%22%22,%22%22,%22%22)&time=2",
        "",
    )
    .await;
    assert_eq!((status, &answer["errorType"]), (422, &json!("execution")));
}

#[tokio::test]
async fn targets_are_listed_with_their_health() {
    let monitor = Monitor::new(Settings::default());
    let target = ScrapeTarget {
        job: "app".to_owned(),
        address: "127.0.0.1:9".parse().unwrap(),
        path: "/metrics".to_owned(),
        labels: [("arm".to_owned(), "canary".to_owned())].into(),
    };
    monitor.set_targets("emr", vec![target]).unwrap();
    let request = Request::get("/api/v1/targets").body(Full::<Bytes>::default()).unwrap();
    let body = monitor
        .handle(request)
        .await
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    let target = &serde_json::from_slice::<Value>(&body).unwrap()["data"]["activeTargets"][0];
    assert_eq!(target["health"], "unknown");
    assert_eq!(
        target["labels"],
        json!({"arm": "canary", "instance": "127.0.0.1:9", "job": "app"})
    );
    assert_eq!(target["scrapePool"], "emr");
}
