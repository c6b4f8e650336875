//! A file of an access log on its way from the bucket. What has arrived is kept however the asking ends, so that one that
//! takes longer than anybody waits is there in the end.

use arya_judge::source::SourceError;
use aws_sdk_s3::types::Object;
use bytes::{Bytes, BytesMut};

use super::{FILE_BYTES_MAX, Place, unreachable};
use crate::Inner;
use crate::calls::Call;
use crate::error::{Meaning, ask, clause};

/// As much of a file as has arrived.
#[derive(Debug)]
pub(super) struct Download {
    key: String,
    /// Of the file as it was when it began to arrive: what was written again since is another one.
    tag: Option<String>,
    bytes: BytesMut,
}

impl Inner {
    /// The whole file. `kept` holds what has arrived when whoever asks goes away before the end, or when it broke off.
    pub(super) async fn log_file(
        &self,
        place: &Place,
        object: &Object,
        kept: &mut Option<Download>,
    ) -> Result<Bytes, SourceError> {
        let key = object.key().unwrap_or_default();
        let size = object.size().filter(|size| *size <= FILE_BYTES_MAX);
        let Some(size) = size.and_then(|size| usize::try_from(size).ok()) else {
            let what = format!("the access log {key} has more than {FILE_BYTES_MAX} bytes");
            return Err(SourceError::Malformed { what });
        };
        let is_it = |kept: &Download| kept.key == key && kept.tag.as_deref() == object.e_tag();
        if !kept.as_ref().is_some_and(is_it) {
            *kept = None;
        }
        let download = kept.get_or_insert_with(|| Download {
            key: key.to_owned(),
            tag: object.e_tag().map(str::to_owned),
            bytes: BytesMut::new(),
        });
        let arrived = self.rest_of(place, download, size).await;
        match arrived {
            Ok(()) => Ok(kept.take().map(|whole| whole.bytes.freeze()).unwrap_or_default()),
            Err(Broken::Off) => Err(unreachable(format!("the access log {key} broke off while it was read"))),
            Err(Broken::Changed) => {
                *kept = None;
                Err(unreachable(format!(
                    "the access log {key} was written again while it was read"
                )))
            }
            Err(Broken::Refused(why)) => Err(unreachable(why)),
        }
    }

    /// What has not arrived yet.
    async fn rest_of(&self, place: &Place, download: &mut Download, size: usize) -> Result<(), Broken> {
        if download.bytes.len() >= size {
            return Ok(());
        }
        let request = self
            .clients
            .reading
            .s3
            .get_object()
            .bucket(&place.bucket)
            .key(&download.key);
        let request = request.set_if_match(download.tag.clone());
        // Up to the end that was listed: it may have been written again, and longer, since.
        let request = request.range(format!("bytes={}-{}", download.bytes.len(), size - 1));
        let answer = match ask(Call::GetObject, request.send()).await {
            Ok(answer) => answer,
            Err(failure) if failure.meaning == Meaning::Gone => return Err(Broken::Changed),
            Err(failure) => return Err(Broken::Refused(clause(&failure))),
        };
        let mut body = answer.body;
        while let Some(piece) = body.next().await {
            download.bytes.extend_from_slice(&piece.map_err(|_| Broken::Off)?);
        }
        if download.bytes.len() < size {
            Err(Broken::Off)
        } else {
            Ok(())
        }
    }
}

/// Why not all of it came.
enum Broken {
    Off,
    Changed,
    Refused(String),
}
