//! Between the SDK and moto: files go through a piece at a time, and then nothing more comes on that answer.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::bridge::sent;
use crate::moto::Moto;

/// Bytes of a file that one answer brings.
pub(crate) const PIECE: usize = 64 * 1024;

/// Listens in front of moto for as long as the test runs, and says where.
pub(crate) async fn slow(moto: &Moto) -> String {
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

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn pass(behind: String, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        head.headers.remove(name);
    }
    let is_file = head.uri.path().ends_with(".log.gz");
    head.uri = format!("{behind}{}", head.uri.path_and_query().unwrap())
        .parse()
        .unwrap();
    let (mut head, body) = tokio::task::spawn_blocking(move || sent(Request::from_parts(head, body)))
        .await
        .unwrap();
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        head.headers.remove(name);
    }
    let body = Bytes::from(body);
    let body = if is_file && body.len() > PIECE {
        let piece = stream::iter([Ok(Frame::data(body.slice(..PIECE)))]);
        StreamBody::new(piece.chain(stream::pending())).boxed_unsync()
    } else {
        Full::from(body).boxed_unsync()
    };
    Ok(Response::from_parts(head, body))
}
