//! What instances put into the bucket for people: read while it stands, kept when it goes, and nothing else of it.

use arya_plan::cloud::Cloud;
use arya_plan::identity::{LogicalId, Place, Role, resource_name};
use arya_plan::left::{LOG_BYTES_MAX, Log, export_key, log_key};
use arya_plan::plan::Step;

use crate::account::OWNER;
use crate::stage::Stage;

fn place(role: Role) -> Place {
    Place { role, index: 0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_and_exports_are_kept_when_the_bucket_goes() {
    let stage = Stage::set().await;
    let (cloud, desired) = (&stage.cloud, &stage.desired);
    cloud.apply(desired, &Step::CreateBucket).await.unwrap();
    let bucket = format!("{}-{OWNER}", resource_name(&desired.id, LogicalId::Bucket));
    let mut long = vec![b'x'; LOG_BYTES_MAX];
    long.extend(b"the end");
    let put = [
        (log_key(place(Role::Canary), 2), long.clone()),
        (log_key(place(Role::Baseline), 1), Vec::new()),
        (export_key(place(Role::Monitor), 1), b"an archive".to_vec()),
        ("once/instance-canary-0-2/secret".to_owned(), b"a secret".to_vec()),
        ("logs/notes".to_owned(), b"of a stranger".to_vec()),
    ];
    for (key, bytes) in put {
        let request = stage.account.admin.s3.put_object().bucket(&bucket).key(key);
        request.body(bytes.into()).send().await.unwrap();
    }
    let end = long.split_off(long.len() - LOG_BYTES_MAX);
    let expected = Log {
        place: place(Role::Canary),
        incarnation: 2,
        bytes: end.clone(),
    };
    assert_eq!(cloud.logs(desired).await.unwrap()[..], [expected]);

    for _ in 0..2 {
        cloud.apply(desired, &Step::DeleteBucket).await.unwrap();
    }
    let left = stage.dir.path().join("left").join(desired.id.to_string());
    assert_eq!(std::fs::read(left.join(log_key(place(Role::Canary), 2))).unwrap(), end);
    let export = left.join(export_key(place(Role::Monitor), 1));
    assert_eq!(std::fs::read(export).unwrap(), b"an archive");
    let kept = |folder: &str| std::fs::read_dir(left.join(folder)).map_or(0, Iterator::count);
    assert_eq!((kept(""), kept("logs"), kept("export"), kept("once")), (2, 1, 1, 0));
}
