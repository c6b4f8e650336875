//! Between the SDK and moto: files go through a piece at a time, and then nothing more comes on that answer.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::{Request, Response};

use crate::front::{answered, in_front_of};
use crate::moto::Moto;

/// Bytes of a file that one answer brings.
pub(crate) const PIECE: usize = 64 * 1024;

/// Listens in front of moto for as long as the test runs, and says where.
pub(crate) async fn slow(moto: &Moto) -> String {
    in_front_of(moto, pass).await
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn pass(behind: String, mut request: Request<Vec<u8>>) -> Response<Body> {
    let asked = request.uri().path_and_query().unwrap();
    let is_file = asked.path().ends_with(".log.gz");
    *request.uri_mut() = format!("{behind}{asked}").parse().unwrap();
    let (head, body) = answered(request).await;
    let body = Bytes::from(body);
    let body = if is_file && body.len() > PIECE {
        let piece = stream::iter([Ok(Frame::data(body.slice(..PIECE)))]);
        StreamBody::new(piece.chain(stream::pending())).boxed_unsync()
    } else {
        Full::from(body).boxed_unsync()
    };
    Response::from_parts(head, body)
}
