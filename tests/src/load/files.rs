//! Files on their way to Arya itself while the load runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::ask::{Answer, paced, read};
use super::pool::{Error, connect};

/// How long each file is on its way.
const OVER: Duration = Duration::from_millis(800);

/// Uploads one after another until told to stop.
pub(super) struct Uploads {
    stop: CancellationToken,
    pub(super) done: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

impl Uploads {
    /// `address` is the server's host and port. Every second file is a compose file that was never there before.
    pub(super) fn start(address: &str, token: &str, image: Bytes, compose: &str) -> Self {
        let (stop, done) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let (address, bearer) = (address.to_owned(), format!("Bearer {token}"));
        let compose = compose.to_owned();
        let (told, counted) = (stop.clone(), Arc::clone(&done));
        let task = tokio::spawn(async move {
            while !told.is_cancelled() {
                let number = counted.load(Ordering::SeqCst);
                let file = if number.is_multiple_of(2) {
                    image.clone()
                } else {
                    Bytes::from(format!("# {number}\n{compose}"))
                };
                upload(&address, &bearer, file).await?;
                counted.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        });
        Self { stop, done, task }
    }

    /// Stops after the file that is on its way; how many were taken.
    pub(super) async fn stop(self) -> Result<u64, Error> {
        self.stop.cancel();
        self.task.await??;
        Ok(self.done.load(Ordering::SeqCst))
    }
}

async fn upload(address: &str, bearer: &str, file: Bytes) -> Result<(), Error> {
    let digest: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    let request = Request::builder()
        .method("PUT")
        .uri("/api/v1/artifacts?filename=soak")
        .header(header::HOST, address)
        .header(header::AUTHORIZATION, bearer)
        .body(paced(file, OVER))?;
    let Answer { status, body, .. } = read(&mut connect(address).await?, request).await?;
    let text = String::from_utf8_lossy(&body);
    if status != StatusCode::OK || !text.contains(&format!("\"sha256:{digest}\"")) {
        return Err(format!("an upload was answered with {status}: {text}").into());
    }
    Ok(())
}
