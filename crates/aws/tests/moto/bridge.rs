//! Between the SDK, which speaks CBOR with CloudWatch, and moto, which speaks JSON: the same words in the other writing.
//! Everything else goes through as it is.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::common::cbor::{moment, read, written};
use crate::moto::Moto;

/// Where CloudWatch's operations are in that writing.
const SERVICE: &str = "/service/GraniteServiceVersion20100801/operation/";

/// Listens in front of moto for as long as the test runs, and says where.
pub(crate) async fn bridge(moto: &Moto) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (address, behind) = (listener.local_addr().unwrap(), moto.endpoint());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let behind = behind.clone();
            let service = service_fn(move |request| pass(behind.clone(), request));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    format!("http://{address}")
}

async fn pass(behind: String, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        head.headers.remove(name);
    }
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
    let (mut head, body) = tokio::task::spawn_blocking(move || sent(Request::from_parts(head, body)))
        .await
        .unwrap();
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        head.headers.remove(name);
    }
    let body = match operation {
        Some(_) => {
            head.headers.insert("smithy-protocol", "rpc-v2-cbor".parse().unwrap());
            head.headers.insert("content-type", "application/cbor".parse().unwrap());
            written(&with_moments(serde_json::from_slice(&body).unwrap()))
        }
        None => body,
    };
    Ok(Response::from_parts(head, Full::from(body)))
}

/// moto's own answer.
pub(crate) fn sent(request: Request<Vec<u8>>) -> (http::response::Parts, Vec<u8>) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.run(request).unwrap();
    let body = answer.body_mut().read_to_vec().unwrap();
    (answer.into_parts().0, body)
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
