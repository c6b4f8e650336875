//! Two versions that share a layer: it is sent once, and what lies in the bucket already is not sent again.

use arya_bundle::pack::{ImageSpec, Layer, docker_save_classic};
use arya_plan::cloud::Cloud as _;
use arya_plan::observed::UploadState;
use arya_plan::plan::Step;
use arya_plan::spec::Digest;

use crate::account::OWNER;
use crate::common::store;
use crate::contract::Ground as _;
use crate::stage::Stage;

const MIB: usize = 1024 * 1024;

/// The archive of an image with these layers, whose content is nobody's business here.
fn image(layers: &[Vec<u8>]) -> Vec<u8> {
    let spec = ImageSpec {
        reference: "shop:1".into(),
        architecture: "amd64".into(),
        env: vec![],
        entrypoint: vec!["/shop".into()],
        cmd: vec![],
        working_dir: "/".into(),
        user: String::new(),
        exposed_ports: vec![],
        labels: [].into(),
    };
    let layers: Vec<Layer<'_>> = layers.iter().map(|layer| Layer::Bytes(layer)).collect();
    let mut archive = Vec::new();
    docker_save_classic(&spec, &layers, &mut archive).unwrap();
    archive
}

struct Bucket<'s> {
    stage: &'s Stage,
    name: String,
}

impl Bucket<'_> {
    /// Names and sizes of what lies below a folder.
    async fn listed(&self, folder: &str) -> Vec<(String, i64)> {
        let request = self.stage.account.admin.s3.list_objects_v2().bucket(&self.name);
        let listed = request
            .prefix(folder)
            .send()
            .await
            .unwrap()
            .contents
            .unwrap_or_default();
        let pair = |one: aws_sdk_s3::types::Object| (one.key.unwrap(), one.size.unwrap());
        listed.into_iter().map(pair).collect()
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) {
        let request = self.stage.account.admin.s3.put_object().bucket(&self.name).key(key);
        request.body(bytes.into()).send().await.unwrap();
    }

    async fn bytes(&self, key: &str) -> Vec<u8> {
        let request = self.stage.account.admin.s3.get_object().bucket(&self.name).key(key);
        let answer = request.send().await.unwrap();
        answer.body.collect().await.unwrap().to_vec()
    }
}

/// Starts an upload and waits until the bucket says that it is there.
async fn sent(stage: &Stage, digests: &[&Digest]) {
    for digest in digests {
        let step = Step::StartUpload {
            digest: (*digest).clone(),
        };
        stage.cloud.apply(&stage.desired, &step).await.unwrap();
    }
    for _ in 0..600 {
        let seen = stage
            .cloud
            .observe(&stage.desired, arya_judge::Timestamp::now())
            .await
            .unwrap();
        let state = |digest: &Digest| seen.uploads.get(digest).map(|upload| upload.state.clone());
        if digests.iter().all(|digest| state(digest) == Some(UploadState::Done)) {
            for digest in digests {
                let upload = &seen.uploads[*digest];
                let size = std::fs::metadata(stage.dir.path().join(digest.hex())).unwrap().len();
                assert_eq!((upload.sent, upload.size), (size, size), "all of the archive is told");
            }
            return;
        }
        stage.wait().await;
    }
    panic!("they did not arrive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_lies_in_the_bucket_is_not_sent_again() {
    let mut stage = Stage::set().await;
    let (base, large) = (vec![1; 3 * MIB], vec![2; 9 * MIB]);
    let baseline = image(&[base.clone(), vec![3; MIB]]);
    let canary = image(&[base.clone(), large.clone()]);
    let (baseline, canary) = (store(stage.dir.path(), &baseline), store(stage.dir.path(), &canary));
    stage.desired.spec.baseline.image = baseline.clone();
    stage.desired.spec.canary.image = canary.clone();
    stage.cloud.apply(&stage.desired, &Step::CreateBucket).await.unwrap();
    let name = format!(
        "{}-{OWNER}",
        arya_plan::identity::resource_name(&stage.desired.id, arya_plan::identity::LogicalId::Bucket)
    );
    let bucket = Bucket { stage: &stage, name };
    // As if an earlier try had left it: of the right name and size, and told apart by its bytes.
    let left = format!("pieces/{}", Digest::of(&large).hex());
    bucket.put(&left, vec![9; large.len()]).await;
    // Half of what it should be is not it.
    let half = format!("pieces/{}", Digest::of(&base).hex());
    bucket.put(&half, vec![9; MIB]).await;

    sent(&stage, &[&baseline, &canary]).await;
    assert_eq!(bucket.bytes(&left).await, vec![9; large.len()], "it was sent again");
    assert_eq!(bucket.bytes(&half).await, base);
    let pieces = bucket.listed("pieces/").await;
    let layers = pieces.iter().filter(|(_, size)| *size >= MIB as i64);
    assert_eq!(layers.count(), 3, "the layer of both lies there once: {pieces:?}");
    let whole = bucket.listed("archives-1/").await;
    assert_eq!(whole.len(), 2, "{whole:?}");
}
