//! The door of a deployment's monitor: TLS with the one certificate that its own status document names, and the password
//! that opens it. It must never know what is asked behind it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A monitor in the same network answers within milliseconds.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// The name in the certificate that the monitor makes for itself. It is not what is checked.
const NAME: &str = "arya-monitor";

/// Why nothing came back, as a clause after "the monitor".
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorError {
    #[error("cannot be reached at {address}: {why}")]
    Unreachable { address: SocketAddr, why: String },
    #[error("at {address} shows another certificate than its instance reported; nothing was asked of it")]
    Stranger { address: SocketAddr },
    #[error("at {address} broke off: {why}")]
    BrokeOff { address: SocketAddr, why: String },
}

/// How to get to one monitor. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Door {
    address: SocketAddr,
    tls: TlsConnector,
    authorization: HeaderValue,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Door {
    /// `certificate_sha256` are the 64 hexadecimal digits of the status document, `authorization` the header's whole value.
    /// `None` where the digits are none.
    pub(crate) fn new(address: SocketAddr, certificate_sha256: &str, authorization: HeaderValue) -> Option<Self> {
        let mut authorization = authorization;
        authorization.set_sensitive(true);
        let provider = Arc::new(ring::default_provider());
        let pinned = Pinned {
            sha256: digits(certificate_sha256)?,
            provider: Arc::clone(&provider),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows what TLS 1.2 and 1.3 need")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        Some(Self {
            address,
            tls: TlsConnector::from(Arc::new(config)),
            authorization,
        })
    }

    /// One question on a connection of its own; its answer may still be arriving when this returns.
    pub(crate) async fn ask<B>(&self, mut request: Request<B>) -> Result<Response<Incoming>, DoorError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let address = self.address;
        let broke_off = |error: &dyn fmt::Display| DoorError::BrokeOff {
            address,
            why: error.to_string(),
        };
        let connected = tokio::time::timeout(CONNECT_WITHIN, self.connect()).await;
        let stream = connected.unwrap_or_else(|_| {
            Err(DoorError::Unreachable {
                address,
                why: format!("no answer within {} s", CONNECT_WITHIN.as_secs()),
            })
        })?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(HOST, HeaderValue::from_static(NAME));
        let (mut asking, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broke_off(&error))?;
        // Ends with the answer, or with whoever reads it.
        tokio::spawn(connection);
        asking.send_request(request).await.map_err(|error| broke_off(&error))
    }

    async fn connect(&self) -> Result<tokio_rustls::client::TlsStream<TcpStream>, DoorError> {
        let address = self.address;
        let unreachable = |error: &dyn fmt::Display| DoorError::Unreachable {
            address,
            why: error.to_string(),
        };
        let stream = TcpStream::connect(address).await.map_err(|error| unreachable(&error))?;
        let _ = stream.set_nodelay(true);
        let name = ServerName::try_from(NAME).expect("it is a name");
        let stranger = CertificateError::ApplicationVerificationFailure;
        self.tls.connect(name, stream).await.map_err(|error| {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
            match cause {
                Some(rustls::Error::InvalidCertificate(found)) if *found == stranger => DoorError::Stranger { address },
                Some(_) | None => unreachable(&error),
            }
        })
    }
}

/// Accepts one certificate, whatever its name and dates: it was made on the machine that told its digest.
#[derive(Debug)]
struct Pinned {
    sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _more: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if <[u8; 32]>::from(Sha256::digest(shown)) == self.sha256 {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            shown,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            shown,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn digits(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let is_hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)).filter(|_| is_hex) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    is_hex.then_some(bytes)
}

#[cfg(test)]
pub(crate) mod tests;
