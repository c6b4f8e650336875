//! S3's side of the wire: names in the path, operations told by method and query.

use std::collections::BTreeMap;

use crate::account::{Account, Bucket, No, REGION};
use crate::tree::{el, text};

/// A request as it came, less its signature.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Bytes of the object, without what wraps them on the wire.
    pub(crate) length: u64,
}

/// What comes back: a body, and an entity tag where there is one.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) body: Vec<u8>,
    pub(crate) tag: Option<String>,
}

const ABSENT: No = No {
    code: "NoSuchBucket",
    status: 404,
};

impl Asked {
    /// The operation's name in the API.
    pub(crate) fn operation(&self) -> &'static str {
        let has = |name: &str| self.query.contains_key(name);
        match (self.method.as_str(), self.bucket.is_empty(), self.key.is_empty()) {
            ("GET", true, _) => "ListBuckets",
            ("PUT", _, true) if has("tagging") => "PutBucketTagging",
            ("PUT", _, true) if has("lifecycle") => "PutBucketLifecycleConfiguration",
            ("PUT", _, true) => "CreateBucket",
            ("HEAD", _, true) => "HeadBucket",
            ("GET", _, true) if has("tagging") => "GetBucketTagging",
            ("GET", _, true) if has("uploads") => "ListMultipartUploads",
            ("GET", _, true) if has("versions") => "ListObjectVersions",
            ("GET", _, true) => "ListObjectsV2",
            ("POST", _, true) if has("delete") => "DeleteObjects",
            ("DELETE", _, true) => "DeleteBucket",
            ("PUT", _, false) if has("partNumber") => "UploadPart",
            ("PUT", _, false) => "PutObject",
            ("POST", _, false) if has("uploads") => "CreateMultipartUpload",
            ("POST", _, false) => "CompleteMultipartUpload",
            ("DELETE", _, false) => "AbortMultipartUpload",
            ("GET", _, false) => "GetObject",
            _ => panic!("nobody told this endpoint of {self:?}"),
        }
    }
}

impl Asked {
    /// The object's own bytes: on the wire they may come in pieces, each behind its length in hexadecimal digits.
    fn content(&self) -> Vec<u8> {
        let mut content = Vec::new();
        if self.length == self.body.len() as u64 {
            return self.body.clone();
        }
        let mut rest = &self.body[..];
        while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
            let digits = std::str::from_utf8(&rest[..end]).unwrap().split(';').next().unwrap();
            let length = usize::from_str_radix(digits, 16).unwrap();
            if length == 0 {
                break;
            }
            content.extend(&rest[end + 2..end + 2 + length]);
            rest = &rest[end + 2 + length + 2..];
        }
        assert_eq!(content.len() as u64, self.length);
        content
    }
}

pub(crate) fn answer(account: &mut Account, asked: &Asked) -> Result<Told, No> {
    let operation = asked.operation();
    if operation == "ListBuckets" {
        let told = account
            .buckets
            .keys()
            .map(|name| el("Bucket", &(text("Name", name) + &text("BucketRegion", REGION))));
        let told = el("ListAllMyBucketsResult", &el("Buckets", &told.collect::<String>()));
        return Ok(xml(told));
    }
    if operation == "CreateBucket" {
        let fresh = !account.buckets.contains_key(&asked.bucket);
        account.buckets.entry(asked.bucket.clone()).or_default();
        let owned = No {
            code: "BucketAlreadyOwnedByYou",
            status: 409,
        };
        return if fresh { Ok(Told::default()) } else { Err(owned) };
    }
    let (number, page) = (account.number(), account.page);
    let bucket = account.buckets.get_mut(&asked.bucket).ok_or(ABSENT)?;
    if operation == "DeleteBucket" {
        if !bucket.objects.is_empty() {
            return Err(No {
                code: "BucketNotEmpty",
                status: 409,
            });
        }
        account.buckets.remove(&asked.bucket);
        return Ok(Told::default());
    }
    if asked.key.is_empty() {
        in_bucket(bucket, operation, asked, page)
    } else {
        in_object(bucket, operation, asked, number)
    }
}

fn in_bucket(bucket: &mut Bucket, operation: &str, asked: &Asked, page: usize) -> Result<Told, No> {
    match operation {
        "PutBucketTagging" => bucket.tagging = Some(String::from_utf8(asked.body.clone()).unwrap()),
        "PutBucketLifecycleConfiguration" => bucket.lifecycle = String::from_utf8(asked.body.clone()).unwrap(),
        "GetBucketTagging" => {
            let absent = No {
                code: "NoSuchTagSet",
                status: 404,
            };
            return bucket.tagging.clone().map(xml).ok_or(absent);
        }
        "ListObjectsV2" => {
            let object = |(key, (size, body)): (&String, &(u64, Vec<u8>))| {
                let tag = text("ETag", format!("\"{size}-{}\"", body.len()));
                el("Contents", &(text("Key", key) + &text("Size", size) + &tag))
            };
            // After a key, not after a number of them: what was listed may be gone by the next page.
            let after = asked.query.get("continuation-token");
            let rest = bucket
                .objects
                .iter()
                .filter(|(key, _)| after.is_none_or(|after| *key > after));
            let rest: Vec<_> = rest.collect();
            let told: String = rest.iter().take(page).copied().map(object).collect();
            let more = rest.len() > page;
            let next = if more {
                text("NextContinuationToken", rest[page - 1].0)
            } else {
                String::new()
            };
            let told = text("IsTruncated", more) + &next + &told;
            return Ok(xml(el("ListBucketResult", &told)));
        }
        "ListMultipartUploads" => {
            let one =
                |(id, (key, _)): (&String, &(String, u64))| el("Upload", &(text("Key", key) + &text("UploadId", id)));
            let told: String = bucket.unfinished.iter().map(one).collect();
            return Ok(xml(el("ListMultipartUploadsResult", &told)));
        }
        // It keeps none.
        "ListObjectVersions" => return Ok(xml(el("ListVersionsResult", ""))),
        "DeleteObjects" => {
            let body = String::from_utf8(asked.body.clone()).unwrap();
            for named in body.split("<Key>").skip(1) {
                bucket.objects.remove(named.split('<').next().unwrap());
            }
            return Ok(xml(el("DeleteResult", "")));
        }
        _ => {}
    }
    Ok(Told::default())
}

fn in_object(bucket: &mut Bucket, operation: &str, asked: &Asked, number: u64) -> Result<Told, No> {
    let absent = No {
        code: "NoSuchUpload",
        status: 404,
    };
    let id = asked.query.get("uploadId").cloned().unwrap_or_default();
    match operation {
        "PutObject" => {
            bucket
                .objects
                .insert(asked.key.clone(), (asked.length, asked.content()));
        }
        "CreateMultipartUpload" => {
            let id = format!("upload-{number}");
            bucket.unfinished.insert(id.clone(), (asked.key.clone(), 0));
            return Ok(xml(el("InitiateMultipartUploadResult", &text("UploadId", id))));
        }
        "UploadPart" => bucket.unfinished.get_mut(&id).ok_or(absent)?.1 += asked.length,
        "CompleteMultipartUpload" => {
            let (key, size) = bucket.unfinished.remove(&id).ok_or(absent)?;
            bucket.objects.insert(key, (size, vec![]));
            return Ok(xml(el("CompleteMultipartUploadResult", &text("ETag", "\"whole\""))));
        }
        "AbortMultipartUpload" => drop(bucket.unfinished.remove(&id).ok_or(absent)?),
        _ => {
            let (_, body) = bucket.objects.get(&asked.key).ok_or(No {
                code: "NoSuchKey",
                status: 404,
            })?;
            return Ok(Told {
                body: body.clone(),
                tag: Some("\"read\"".into()),
            });
        }
    }
    Ok(Told {
        body: vec![],
        tag: Some(format!("\"{number}\"")),
    })
}

fn xml(told: String) -> Told {
    Told {
        body: told.into_bytes(),
        tag: None,
    }
}
