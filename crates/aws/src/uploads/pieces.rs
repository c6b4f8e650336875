//! Image archives in pieces: what both versions share is sent once, and what a crash left in the bucket is not sent again.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arya_bundle::{Piece, Pieces};
use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::DeploymentId;
use arya_plan::spec::Digest;
use arya_plan::user_data::Archive;
use aws_sdk_s3::primitives::ByteStream;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::sending::{self, Section};
use super::{bucket_name, file_key};
use crate::Inner;
use crate::boot::Signing;
use crate::calls::Call;
use crate::error::ask;

const PIECES: &str = "pieces/";
/// Says that all pieces of an archive are there. Another way to cut archives gets another number.
const WHOLE: &str = "archives-1/";
const READ_BUFFER: usize = 256 * 1024;
/// Files whose cuts are remembered; some KB each.
const REMEMBERED_MAX: usize = 128;

type Cut = Arc<OnceCell<Arc<[Piece]>>>;
type Turn = Arc<tokio::sync::Mutex<()>>;

fn piece_key(digest: &Digest) -> String {
    format!("{PIECES}{}", digest.hex())
}

fn whole_key(digest: &Digest, size: u64) -> String {
    format!("{WHOLE}{}/{size}", digest.hex())
}

/// The archive that lies there in pieces, and its bytes, by the key alone.
pub(super) fn whole_of(key: &str) -> Option<(Digest, u64)> {
    let (hex, size) = key.strip_prefix(WHOLE)?.split_once('/')?;
    Some((format!("sha256:{hex}").parse().ok()?, size.parse().ok()?))
}

/// Where archives are cut, and whose turn it is to send a piece.
#[derive(Debug, Default)]
pub(super) struct InPieces {
    cuts: Mutex<HashMap<Digest, Cut>>,
    turns: Mutex<HashMap<(DeploymentId, Digest), Turn>>,
}

fn locked<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InPieces {
    pub(super) fn forget(&self, deployment: &DeploymentId) {
        locked(&self.turns).retain(|(of, _), _| of != deployment);
    }

    fn turn(&self, deployment: DeploymentId, piece: &Digest) -> Turn {
        let mut turns = locked(&self.turns);
        Arc::clone(turns.entry((deployment, piece.clone())).or_default())
    }

    fn cut(&self, digest: &Digest) -> Cut {
        let mut cuts = locked(&self.cuts);
        if cuts.len() >= REMEMBERED_MAX && !cuts.contains_key(digest) {
            cuts.clear();
        }
        Arc::clone(cuts.entry(digest.clone()).or_default())
    }
}

/// Whether a file of a deployment goes in pieces: the archives of both versions do.
pub(super) fn is_in_pieces(desired: &Desired, digest: &Digest) -> bool {
    [&desired.spec.baseline, &desired.spec.canary]
        .map(|version| &version.image)
        .contains(&digest)
}

impl Inner {
    /// Reads an archive once, on a thread that may block and to its end, whoever goes on waiting for it.
    async fn pieces(&self, digest: &Digest) -> Result<Arc<[Piece]>, String> {
        let cut = self.uploads.in_pieces.cut(digest);
        let path = self.settings.artifacts_dir.join(digest.hex());
        let digest = digest.clone();
        let reading = tokio::spawn(async move {
            let read = || async move {
                let read = tokio::task::spawn_blocking(move || read(&path, &digest));
                read.await.unwrap_or_else(|error| Err(sending::unreadable(&error)))
            };
            cut.get_or_try_init(read).await.cloned()
        });
        reading.await.unwrap_or_else(|error| Err(sending::unreadable(&error)))
    }

    /// Where an instance fetches an archive, also while it is still on its way.
    pub(crate) async fn archive(&self, signing: &Signing<'_>, digest: &Digest) -> Result<Archive, CloudError> {
        let pieces = self.pieces(digest).await.map_err(|why| {
            CloudError::refused(
                format!("{why} No instance was launched."),
                "Upload it again, and deploy anew.",
            )
        })?;
        if let [_] = *pieces {
            return Ok(signing.object(&file_key(digest), digest).await?.into());
        }
        let mut objects = Vec::with_capacity(pieces.len());
        for piece in pieces.iter() {
            objects.push(signing.object(&piece_key(&piece.digest), &piece.digest).await?);
        }
        Ok(Archive {
            digest: digest.clone(),
            pieces: objects,
        })
    }

    /// Sends what is not there yet; the sentence says why it is not whole. `note` hears how many bytes have arrived.
    pub(super) async fn send_in_pieces(
        &self,
        desired: &Desired,
        digest: &Digest,
        stop: &CancellationToken,
        note: impl Fn(u64) + Send + Sync,
    ) -> Result<(), String> {
        let bucket = bucket_name(desired, &self.identity.account);
        let path = self.settings.artifacts_dir.join(digest.hex());
        let pieces = self.pieces(digest).await?;
        // What is not cut lies there as any other file.
        if let [whole] = &*pieces {
            let section = Section::whole(&path, whole.size, digest);
            return sending::send(&self.clients, &bucket, &file_key(digest), section, stop, note).await;
        }
        let mut arrived = 0;
        for piece in pieces.iter() {
            let turn = self.uploads.in_pieces.turn(desired.id, &piece.digest);
            // The other version may be sending the same one.
            let _turn = sending::or_stop(stop, async { Ok(turn.lock_owned().await) }).await?;
            let key = piece_key(&piece.digest);
            if !self.lies_there(&bucket, &key, piece.size).await? {
                let section = Section {
                    path: &path,
                    from: arrived,
                    size: piece.size,
                    digest: &piece.digest,
                };
                sending::send(&self.clients, &bucket, &key, section, stop, |sent| note(arrived + sent)).await?;
            }
            arrived += piece.size;
            note(arrived);
        }
        let request = self.clients.sending.s3.put_object().bucket(bucket);
        let request = request.key(whole_key(digest, arrived)).body(ByteStream::default());
        let said = ask(Call::PutObject, request.send()).await;
        said.map(drop).map_err(sending::said)
    }

    /// Only whole objects are listed; one of another size is not ours.
    async fn lies_there(&self, bucket: &str, key: &str, size: u64) -> Result<bool, String> {
        let request = self
            .clients
            .reading
            .s3
            .list_objects_v2()
            .bucket(bucket)
            .prefix(key)
            .max_keys(1);
        let listed = ask(Call::ListObjectsV2, request.send()).await.map_err(sending::said)?;
        let size = i64::try_from(size).ok();
        Ok(listed
            .contents()
            .iter()
            .any(|one| one.key() == Some(key) && one.size() == size))
    }
}

fn read(path: &PathBuf, digest: &Digest) -> Result<Arc<[Piece]>, String> {
    let file = File::open(path).map_err(|error| sending::unreadable(&error))?;
    let read = Pieces::of(BufReader::with_capacity(READ_BUFFER, file));
    let found = read.map_err(|error| sending::unreadable(&error))?;
    if found.digest == *digest {
        Ok(found.pieces.into())
    } else {
        Err(sending::OTHER_BYTES.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_archive_and_nothing_else_is_one() {
        let digest = Digest::of(b"archive");
        assert_eq!(whole_of(&whole_key(&digest, 7)), Some((digest.clone(), 7)));
        assert_eq!(whole_of(&piece_key(&digest)), None);
        assert_eq!(whole_of(&file_key(&digest)), None);
        assert_eq!(whole_of("archives-1/x/7"), None);
    }
}
