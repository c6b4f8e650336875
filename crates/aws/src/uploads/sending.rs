//! One file, or a section of one, part by part: read once, hashed on the way, a few parts in the air at a time, and never
//! complete unless its bytes are those of its digest.

use std::io::SeekFrom;
use std::path::Path;

use arya_plan::cloud::CloudError;
use arya_plan::spec::Digest;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, Take};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::calls::Call;
use crate::connect::Clients;
use crate::error::ask;

/// Small enough to be kept until S3 has it, large enough that 10,000 of them hold 80 GB. S3's least is 5 MiB.
const PART: usize = 8 * 1024 * 1024;
/// S3 takes 10,000 parts; larger files have larger parts.
const PARTS_MAX: u64 = 9_000;
/// In the air at a time: together 32 MiB.
const PARTS_AT_ONCE: usize = 4;

/// What of a file becomes an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'p> {
    pub(super) path: &'p Path,
    /// Bytes of the file before it.
    pub(super) from: u64,
    /// Its own bytes.
    pub(super) size: u64,
    pub(super) digest: &'p Digest,
}

impl<'p> Section<'p> {
    pub(super) const fn whole(path: &'p Path, size: u64, digest: &'p Digest) -> Self {
        Self {
            path,
            from: 0,
            size,
            digest,
        }
    }
}

/// Sends what becomes an object; the sentence says why it is not there. `note` hears how many bytes have arrived.
pub(super) async fn send(
    clients: &Clients,
    bucket: &str,
    key: &str,
    of: Section<'_>,
    stop: &CancellationToken,
    note: impl Fn(u64) + Send,
) -> Result<(), String> {
    let mut source = Source::open(of).await?;
    let part = usize::try_from(of.size.div_ceil(PARTS_MAX)).map_or(PART, |least| least.max(PART));
    let first = source.next(part).await?;
    if first.len() < part {
        source.matches(of.digest)?;
        let bytes = first.len() as u64;
        let request = clients.sending.s3.put_object().bucket(bucket).key(key);
        let sent = ask(Call::PutObject, request.body(ByteStream::from(first)).send());
        return or_stop(stop, async { sent.await.map_err(CloudError::from) })
            .await
            .map(|_| note(bytes));
    }
    let request = clients.sending.s3.create_multipart_upload().bucket(bucket).key(key);
    let begun = ask(Call::CreateMultipartUpload, request.send()).await.map_err(said)?;
    let upload = Parts {
        clients,
        bucket,
        key,
        id: begun.upload_id.unwrap_or_default(),
    };
    let sent = upload.send(first, part, &mut source, stop, note).await;
    let finished = match sent.and_then(|parts| source.matches(of.digest).map(|()| parts)) {
        Ok(parts) => upload.finish(parts).await,
        Err(why) => Err(why),
    };
    if finished.is_err() {
        upload.abort().await;
    }
    finished
}

pub(super) fn said(error: impl Into<CloudError>) -> String {
    error.into().to_string()
}

/// The work, unless somebody stops it first.
pub(super) async fn or_stop<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, CloudError>>,
) -> Result<T, String> {
    tokio::select! {
        () = stop.cancelled() => Err("The upload was stopped.".into()),
        answer = work => answer.map_err(said),
    }
}

/// A section of a file, read once from its start.
struct Source {
    file: Take<File>,
    hasher: Sha256,
}

impl Source {
    async fn open(section: Section<'_>) -> Result<Self, String> {
        let mut file = File::open(section.path).await.map_err(|error| unreadable(&error))?;
        let seek = file.seek(SeekFrom::Start(section.from)).await;
        seek.map_err(|error| unreadable(&error))?;
        Ok(Self {
            file: file.take(section.size),
            hasher: Sha256::new(),
        })
    }

    /// The next bytes, shorter than asked only at the end.
    async fn next(&mut self, length: usize) -> Result<Bytes, String> {
        let mut bytes = BytesMut::with_capacity(length);
        while bytes.len() < length {
            let mut rest = (&mut self.file).take((length - bytes.len()) as u64);
            let read = rest.read_buf(&mut bytes).await.map_err(|error| unreadable(&error))?;
            if read == 0 {
                break;
            }
        }
        self.hasher.update(&bytes);
        Ok(bytes.freeze())
    }

    /// After the last byte: whether they were those of the digest.
    fn matches(&self, digest: &Digest) -> Result<(), String> {
        let hex: String = self
            .hasher
            .clone()
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if hex == digest.hex() {
            return Ok(());
        }
        Err(OTHER_BYTES.into())
    }
}

pub(super) const OTHER_BYTES: &str =
    "The stored file is not the one that was uploaded: its bytes have another digest. Upload it again.";

pub(super) fn unreadable(error: &dyn std::error::Error) -> String {
    format!("The stored file could not be read: {error}. Upload it again.")
}

/// A part's task ended without an answer.
fn broken<T>(error: JoinError) -> Result<T, CloudError> {
    Err(CloudError::not_yet(format!(
        "A part of the upload was given up ({error}). It is sent again."
    )))
}

/// A multipart upload that has begun.
struct Parts<'u> {
    clients: &'u Clients,
    bucket: &'u str,
    key: &'u str,
    id: String,
}

impl Parts<'_> {
    async fn send(
        &self,
        first: Bytes,
        part: usize,
        source: &mut Source,
        stop: &CancellationToken,
        note: impl Fn(u64) + Send,
    ) -> Result<Vec<CompletedPart>, String> {
        // Tasks, so that parts go on while the next one is read and hashed. With the set they end.
        let (mut parts, mut in_the_air) = (Vec::new(), JoinSet::new());
        let (mut number, mut arrived, mut next) = (1, 0, Some(first));
        let mut is_last = false;
        loop {
            // Read only when there is room for it, so that no more parts are in memory than in the air.
            while in_the_air.len() < PARTS_AT_ONCE && !is_last {
                let bytes = match next.take() {
                    Some(first) => first,
                    None => source.next(part).await?,
                };
                is_last = bytes.len() < part;
                if !bytes.is_empty() {
                    in_the_air.spawn(self.part(number, bytes));
                    number += 1;
                }
            }
            let landed = or_stop(stop, async {
                let landed = in_the_air.join_next().await;
                landed.map(|part| part.unwrap_or_else(broken)).transpose()
            });
            let Some((completed, bytes)) = landed.await? else {
                break;
            };
            arrived += bytes;
            note(arrived);
            parts.push(completed);
        }
        parts.sort_by_key(CompletedPart::part_number);
        Ok(parts)
    }

    fn part(
        &self,
        number: i32,
        bytes: Bytes,
    ) -> impl Future<Output = Result<(CompletedPart, u64), CloudError>> + Send + 'static {
        let length = bytes.len() as u64;
        let request = self.clients.sending.s3.upload_part().bucket(self.bucket).key(self.key);
        let request = request
            .upload_id(&self.id)
            .part_number(number)
            .body(ByteStream::from(bytes));
        async move {
            let answer = ask(Call::UploadPart, request.send()).await?;
            let completed = CompletedPart::builder()
                .part_number(number)
                .set_e_tag(answer.e_tag)
                .set_checksum_crc32(answer.checksum_crc32)
                .set_checksum_crc32_c(answer.checksum_crc32_c)
                .set_checksum_crc64_nvme(answer.checksum_crc64_nvme);
            Ok((completed.build(), length))
        }
    }

    async fn finish(&self, parts: Vec<CompletedPart>) -> Result<(), String> {
        let all = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.clients.sending.s3.complete_multipart_upload().bucket(self.bucket);
        let request = request.key(self.key).upload_id(&self.id).multipart_upload(all);
        ask(Call::CompleteMultipartUpload, request.send())
            .await
            .map(|_| ())
            .map_err(said)
    }

    /// As well as it goes: what stays is removed by the bucket's own rule, and with the bucket.
    async fn abort(&self) {
        let request = self.clients.changing.s3.abort_multipart_upload().bucket(self.bucket);
        let request = request.key(self.key).upload_id(&self.id);
        if let Err(failure) = ask(Call::AbortMultipartUpload, request.send()).await {
            tracing::warn!(%failure, "an unfinished upload stays until the bucket goes");
        }
    }
}
