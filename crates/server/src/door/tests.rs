use http_body_util::{BodyExt as _, Empty, Full};
use hyper::server::conn::http1 as serving;
use hyper::service::service_fn;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::prometheus::Monitored;

/// A key as a monitor makes it, of use to nobody: it opens what these tests listen on.
const KEY: &[u8] = include_bytes!("tests/key.pem");
const CERTIFICATE: &[u8] = include_bytes!("tests/certificate.pem");

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(CERTIFICATE).unwrap()
}

/// What a status document tells of it.
pub(crate) fn shown() -> String {
    let digest = Sha256::digest(certificate());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A door that answers with the password it was shown and the path it was asked for.
async fn listen() -> SocketAddr {
    open(|uri, password| format!("{uri} {password}")).await
}

/// A door that answers by the path it was asked for and the password it was shown.
pub(crate) async fn open(answer: impl Fn(&str, &str) -> String + Copy + Send + 'static) -> SocketAddr {
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let service = service_fn(move |request: Request<Incoming>| async move {
                let password = request.headers()[AUTHORIZATION].to_str().unwrap();
                let said = answer(&request.uri().to_string(), password);
                Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(said))))
            });
            tokio::spawn(serving::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn ask(address: SocketAddr, certificate: &str) -> Result<String, DoorError> {
    let door = Door::new(address, certificate, HeaderValue::from_static("Basic c2VjcmV0")).unwrap();
    assert!(!format!("{door:?}").contains("c2VjcmV0"));
    let request = Request::get("/prometheus/-/ready").body(Empty::<Bytes>::new()).unwrap();
    let answer = door.ask(request).await?;
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    Ok(String::from_utf8(body.into()).unwrap())
}

#[tokio::test]
async fn the_certificate_of_the_status_document_is_accepted() {
    let address = listen().await;
    let said = ask(address, &shown()).await.unwrap();
    assert_eq!(said, "/prometheus/-/ready Basic c2VjcmV0");
}

#[tokio::test]
async fn prometheus_is_asked_behind_it() {
    let address = listen().await;
    let door = Door::new(address, &shown(), HeaderValue::from_static("Basic c2VjcmV0")).unwrap();
    let answer = Monitored::Behind(door).ask("query", &[("query", "up")]).await.unwrap();
    assert_eq!(answer, "/prometheus/api/v1/query Basic c2VjcmV0");
    let stranger = Door::new(address, &"0".repeat(64), HeaderValue::from_static("x")).unwrap();
    let refused = Monitored::Behind(stranger).ask("query", &[]).await.unwrap_err();
    assert!(refused.to_string().contains("another certificate"), "{refused}");
}

#[tokio::test]
async fn another_certificate_is_told_nothing() {
    let address = listen().await;
    let other = shown().replace(['0', '1'], "f");
    assert_ne!(other, shown());
    let refused = ask(address, &other).await.unwrap_err();
    assert!(matches!(refused, DoorError::Stranger { .. }), "{refused}");
}

#[tokio::test]
async fn a_monitor_that_is_not_there_is_named() {
    let nobody = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let refused = ask(nobody, &shown()).await.unwrap_err();
    assert!(refused.to_string().contains(&nobody.to_string()), "{refused}");
}

#[test]
fn what_is_no_digest_opens_no_door() {
    let address = "127.0.0.1:8443".parse().unwrap();
    for digest in ["", "ab", &"g".repeat(64), &"ä".repeat(32)] {
        assert!(
            Door::new(address, digest, HeaderValue::from_static("x")).is_none(),
            "{digest}"
        );
    }
}
