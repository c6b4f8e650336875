//! A bucket by its name alone, with the same sender and the same signer as a deployment's: for whoever tries them on
//! another server that speaks S3, which has neither tags nor accounts.

use std::path::Path;
use std::time::Duration;

use arya_plan::cloud::CloudError;
use arya_plan::spec::Digest;
use tokio_util::sync::CancellationToken;

use super::file_key;
use super::sending::{self, Section};
use crate::boot::Signing;
use crate::connect::{Clients, ConnectionSettings};

/// A bucket that stands. Nobody is asked whose it is.
#[derive(Debug)]
pub struct BareBucket {
    clients: Clients,
    name: String,
}

impl BareBucket {
    /// # Errors
    /// There is no region.
    pub async fn of(connection: &ConnectionSettings, name: &str) -> Result<Self, CloudError> {
        Ok(Self {
            clients: Clients::new(connection).await?,
            name: name.to_owned(),
        })
    }

    /// Where a file lies.
    pub fn key(digest: &Digest) -> String {
        file_key(digest)
    }

    /// Sends a file as a deployment's step does.
    ///
    /// # Errors
    /// A sentence that says why it is not there.
    pub async fn send(&self, digest: &Digest, path: &Path) -> Result<(), String> {
        let about = tokio::fs::metadata(path).await;
        let size = about.map_err(|error| error.to_string())?.len();
        let stop = CancellationToken::new();
        let whole = Section::whole(path, size, digest);
        sending::send(&self.clients, &self.name, &file_key(digest), whole, &stop, |_| ()).await
    }

    /// URLs that read and write an object, for so long.
    ///
    /// # Errors
    /// There are no credentials.
    pub async fn urls(&self, key: &str, valid: Duration) -> Result<[String; 2], CloudError> {
        let signing = Signing::valid_for(valid, &self.clients, self.name.clone());
        Ok([signing.reading(key).await?, signing.writing(key).await?])
    }
}
