//! Between the SDK and moto: a server in front of it that may change what goes there and what comes back.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::moto::Moto;

/// Listens for as long as the test runs, and says where; each request is answered by `pass`, which is told where moto is.
pub(crate) async fn in_front_of<P, F, B>(moto: &Moto, pass: P) -> String
where
    P: Fn(String, Request<Vec<u8>>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (address, behind) = (listener.local_addr().unwrap(), moto.endpoint());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (pass, behind) = (pass.clone(), behind.clone());
            let service = service_fn(move |request| {
                let (pass, behind) = (pass.clone(), behind.clone());
                async move { Ok::<_, Infallible>(pass(behind, whole(request).await).await) }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    format!("http://{address}")
}

async fn whole(request: Request<Incoming>) -> Request<Vec<u8>> {
    let (mut head, body) = request.into_parts();
    of_no_connection(&mut head.headers);
    Request::from_parts(head, body.collect().await.unwrap().to_bytes().to_vec())
}

/// What says how one connection carries a body means nothing on the next.
fn of_no_connection(headers: &mut HeaderMap) {
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        headers.remove(name);
    }
}

/// moto's own answer.
pub(crate) async fn answered(request: Request<Vec<u8>>) -> (response::Parts, Vec<u8>) {
    let ask = move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.run(request).unwrap();
        let body = answer.body_mut().read_to_vec().unwrap();
        (answer.into_parts().0, body)
    };
    let (mut head, body) = tokio::task::spawn_blocking(ask).await.unwrap();
    of_no_connection(&mut head.headers);
    (head, body)
}
