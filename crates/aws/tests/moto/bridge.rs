//! Between the SDK, which speaks CBOR with CloudWatch, and moto, which speaks JSON: the same words in the other writing.
//! Everything else goes through as it is.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use serde_json::{Value, json};

use crate::common::cbor::{moment, read, written};
use crate::front::{answered, in_front_of};
use crate::moto::Moto;

/// Where CloudWatch's operations are in that writing.
const SERVICE: &str = "/service/GraniteServiceVersion20100801/operation/";

/// Listens in front of moto for as long as the test runs, and says where.
pub(crate) async fn bridge(moto: &Moto) -> String {
    in_front_of(moto, pass).await
}

async fn pass(behind: String, request: Request<Vec<u8>>) -> Response<Full<Bytes>> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().unwrap().as_str().to_owned();
    let operation = path.strip_prefix(SERVICE).map(str::to_owned);
    let (url, body) = match &operation {
        Some(operation) => {
            head.headers.insert(
                "x-amz-target",
                format!("GraniteServiceVersion20100801.{operation}").parse().unwrap(),
            );
            head.headers
                .insert("content-type", "application/x-amz-json-1.0".parse().unwrap());
            (format!("{behind}/"), serde_json::to_vec(&read(&body)).unwrap())
        }
        None => (format!("{behind}{path}"), body),
    };
    head.uri = url.parse().unwrap();
    let (mut head, body) = answered(Request::from_parts(head, body)).await;
    let body = match operation {
        Some(_) => {
            head.headers.insert("smithy-protocol", "rpc-v2-cbor".parse().unwrap());
            head.headers.insert("content-type", "application/cbor".parse().unwrap());
            written(&with_moments(serde_json::from_slice(&body).unwrap()))
        }
        None => body,
    };
    Response::from_parts(head, Full::from(body))
}

/// JSON has no moments: here they are numbers under this name.
fn with_moments(mut answer: Value) -> Value {
    for result in answer["MetricDataResults"].as_array_mut().into_iter().flatten() {
        let moments = result["Timestamps"].as_array().unwrap().iter();
        let moments: Vec<Value> = moments.map(|at| moment(at.as_f64().unwrap() as i64)).collect();
        result["Timestamps"] = json!(moments);
    }
    answer
}
