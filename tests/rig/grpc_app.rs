//! An app that speaks gRPC and nothing else, without TLS: the standard health check (`grpc.health.v1.Health/Check`), as its
//! protocol has it on HTTP/2. Told by its environment: `PORT`, and `NOT_SERVING_MS`, for which it says that it is not well.

use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};

const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// A message without compression, two bytes long: `HealthCheckResponse` with its only field.
const HEAD: [u8; 5] = [0, 0, 0, 0, 2];
const FIELD_STATUS: u8 = 0x08;
const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;
/// The statuses of an answer that came, and of a method that there is not.
const OK: HeaderValue = HeaderValue::from_static("0");
const UNIMPLEMENTED: HeaderValue = HeaderValue::from_static("12");

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let told = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let port = told("PORT").and_then(|port| u16::try_from(port).ok()).unwrap_or(8080);
    let well_at = Instant::now() + Duration::from_millis(told("NOT_SERVING_MS").unwrap_or(0));
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        // A client that goes away is its own affair.
        tokio::spawn(async move { drop(converse(stream, well_at).await) });
    }
}

async fn converse(stream: TcpStream, well_at: Instant) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(asked) = connection.accept().await {
        let (request, respond) = asked?;
        answer(&request, respond, well_at)?;
    }
    Ok(())
}

fn answer<B>(request: &Request<B>, mut respond: SendResponse<Bytes>, well_at: Instant) -> Result<(), h2::Error> {
    let mut head = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    head.headers_mut().insert(http::header::CONTENT_TYPE, grpc);
    if request.uri().path() != HEALTH {
        // Without a message, as a server that lacks the method answers.
        head.headers_mut().insert("grpc-status", UNIMPLEMENTED);
        return respond.send_response(head, true).map(drop);
    }
    let status = if Instant::now() < well_at { NOT_SERVING } else { SERVING };
    let message = [&HEAD[..], &[FIELD_STATUS, status]].concat();
    let mut body = respond.send_response(head, false)?;
    body.send_data(message.into(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", OK);
    body.send_trailers(trailers)
}
