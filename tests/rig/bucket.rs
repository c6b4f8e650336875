//! The bucket as instances see it: objects behind URLs that were signed for one method, one key and a while.
//!
//! Answers as S3 does where the boot script looks: 404 for what is not there yet, 403 with `AccessDenied` for a wrong or
//! expired signature. It verifies signatures of its own making; that AWS's are made rightly is tested elsewhere.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use arya_plan::spec::Digest;
use arya_plan::user_data::{Object, Once, PresignedUrl};

/// Large enough for every sample, small enough for a mistake to be seen.
const BODY_MAX: usize = 256 * 1024 * 1024;

#[derive(Clone)]
pub(crate) struct Bucket {
    address: SocketAddr,
    shelf: Arc<(Mutex<Shelf>, Condvar)>,
}

#[derive(Default)]
struct Shelf {
    objects: BTreeMap<String, Vec<u8>>,
    /// Every version of every object that was PUT, oldest first.
    put: BTreeMap<String, Vec<Version>>,
    signed: BTreeMap<String, Signed>,
    /// What was asked without a right to it.
    refused: Vec<String>,
}

/// What an instance wrote, and when it had arrived.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) at: Instant,
    pub(crate) bytes: Vec<u8>,
}

impl Version {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

struct Signed {
    method: &'static str,
    key: String,
    until: Instant,
}

/// Long enough for every story.
const HOUR: Duration = Duration::from_secs(3600);

impl Bucket {
    /// Serves on the bridge's own address until the process ends.
    pub(crate) fn open(on: IpAddr) -> Self {
        let listener = TcpListener::bind((on, 0)).unwrap();
        let bucket = Self {
            address: listener.local_addr().unwrap(),
            shelf: Arc::default(),
        };
        let serving = bucket.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                // A client that goes away is its own affair.
                std::thread::spawn(move || drop(serving.answer(&stream)));
            }
        });
        bucket
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.0.lock().unwrap()
    }

    /// Puts an object as the server would.
    pub(crate) fn store(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        self.shelf().objects.insert(key.into(), bytes.into());
    }

    /// Waits until an object was removed.
    pub(crate) fn gone_within(&self, key: &str, limit: Duration) -> bool {
        let is_there = |shelf: &mut Shelf| shelf.objects.contains_key(key);
        let (shelf, _) = self.shelf.1.wait_timeout_while(self.shelf(), limit, is_there).unwrap();
        !shelf.objects.contains_key(key)
    }

    pub(crate) fn refused(&self) -> Vec<String> {
        self.shelf().refused.clone()
    }

    pub(crate) fn sign(&self, method: &'static str, key: &str) -> PresignedUrl {
        self.sign_for(method, key, HOUR)
    }

    pub(crate) fn sign_for(&self, method: &'static str, key: &str, valid: Duration) -> PresignedUrl {
        let mut shelf = self.shelf();
        let signature = Digest::of(format!("{method} {key} {}", shelf.signed.len()).as_bytes());
        let url = format!(
            "http://{}/bucket/{key}?X-Amz-Signature={}",
            self.address,
            signature.hex()
        );
        let signed = Signed {
            method,
            key: key.into(),
            until: Instant::now() + valid,
        };
        shelf.signed.insert(signature.hex().into(), signed);
        PresignedUrl::parse(url).unwrap()
    }

    /// A GET for an object that has, or will have, these bytes.
    pub(crate) fn object(&self, key: &str, bytes: &[u8]) -> Object {
        Object {
            url: self.sign("GET", key),
            digest: Digest::of(bytes),
        }
    }

    /// What one instance alone fetches, stored and ready to be removed.
    pub(crate) fn once(&self, key: &str, bytes: impl Into<Vec<u8>>) -> Once {
        let bytes = bytes.into();
        let object = self.object(key, &bytes);
        self.store(key, bytes);
        Once {
            object,
            remove: self.sign("DELETE", key),
        }
    }

    /// Waits until the versions of one object that were PUT so far, oldest first, have what is wanted.
    pub(crate) fn wait_for<T>(
        &self,
        key: &str,
        limit: Duration,
        wanted: impl Fn(&[Version]) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut shelf = self.shelf();
        loop {
            let found = shelf.put.get(key).and_then(|versions| wanted(versions));
            let left = deadline.checked_duration_since(Instant::now());
            match (found, left) {
                (Some(found), _) => return Some(found),
                (None, None) => return None,
                (None, Some(left)) => shelf = self.shelf.1.wait_timeout(shelf, left).unwrap().0,
            }
        }
    }

    /// Every version of one object that was PUT, oldest first.
    pub(crate) fn versions(&self, key: &str) -> Vec<Version> {
        self.shelf().put.get(key).cloned().unwrap_or_default()
    }

    fn answer(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut from = BufReader::new(stream);
        while let Some(request) = Request::read(&mut from)? {
            let (status, body) = self.decide(request);
            let mut to = stream;
            write!(to, "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n", body.len())?;
            to.write_all(&body)?;
        }
        Ok(())
    }

    fn decide(&self, request: Request) -> (u16, Vec<u8>) {
        let mut shelf = self.shelf();
        let Some(key) = shelf.allowed(&request) else {
            shelf.refused.push(format!("{} {}", request.method, request.target));
            let body = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
            return (403, body.into());
        };
        match request.method.as_str() {
            "GET" => match shelf.objects.get(&key) {
                Some(bytes) => (200, bytes.clone()),
                None => (404, b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
            },
            "PUT" => {
                shelf.objects.insert(key.clone(), request.body.clone());
                let version = Version {
                    at: Instant::now(),
                    bytes: request.body,
                };
                shelf.put.entry(key).or_default().push(version);
                self.shelf.1.notify_all();
                (200, vec![])
            }
            _ => {
                shelf.objects.remove(&key);
                self.shelf.1.notify_all();
                (204, vec![])
            }
        }
    }
}

impl Shelf {
    fn allowed(&self, request: &Request) -> Option<String> {
        let (path, query) = request.target.split_once('?')?;
        let signed = self.signed.get(query.strip_prefix("X-Amz-Signature=")?)?;
        let fits = signed.method == request.method && path.strip_prefix("/bucket/")? == signed.key;
        (fits && Instant::now() < signed.until).then(|| signed.key.clone())
    }
}

struct Request {
    method: String,
    target: String,
    body: Vec<u8>,
}

impl Request {
    fn read(from: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Self>> {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Ok(None);
        };
        let mut length = 0;
        loop {
            let mut header = String::new();
            from.read_line(&mut header)?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if header == "expect: 100-continue" {
                from.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
        }
        let mut body = vec![0; length.min(BODY_MAX)];
        from.read_exact(&mut body)?;
        Ok(Some(Self { method, target, body }))
    }
}
