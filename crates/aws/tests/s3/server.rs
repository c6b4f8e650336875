//! s3s-fs on a port and in a folder of its own.

use std::io::{Read, Seek as _, SeekFrom};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use arya_aws::ConnectionSettings;
use arya_plan::spec::Digest;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub(crate) const BUCKET: &str = "arya-s3-bench";
pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const KEY: &str = "AKIDBENCH";
pub(crate) const SECRET: &str = "not-so-secret";
const UP_WITHIN: Duration = Duration::from_secs(10);
/// Read at once where bytes are compared.
const CHUNK: usize = 1024 * 1024;

pub(crate) struct Server {
    pub(crate) endpoint: String,
    child: Child,
    pub(crate) folder: TempDir,
}

pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")
}

impl Server {
    pub(crate) fn start() -> Self {
        // Beside the build, since temporary folders are often memory.
        let folder = TempDir::new_in(target()).unwrap();
        std::fs::create_dir_all(folder.path().join("s3").join(BUCKET)).unwrap();
        // Free now; whoever takes it in between makes the run fail, not lie.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(target().join("s3s-fs/bin/s3s-fs"))
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--access-key", KEY, "--secret-key", SECRET])
            .arg(folder.path().join("s3"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`cargo xtask bench s3` installs s3s-fs");
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < UP_WITHIN, "s3s-fs does not answer");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            child,
            folder,
        }
    }

    pub(crate) fn stored(&self, key: &str) -> PathBuf {
        self.folder.path().join("s3").join(BUCKET).join(key)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn connection(endpoint: &str) -> ConnectionSettings {
    let credentials = Credentials::new(KEY, SECRET, None, None, "tests");
    ConnectionSettings {
        region: Some(REGION.into()),
        endpoint: Some(endpoint.to_owned()),
        credentials: Some(SharedCredentialsProvider::new(credentials)),
        ..ConnectionSettings::default()
    }
}

pub(crate) fn digest_of(file: &Path) -> Digest {
    let mut file = std::fs::File::open(file).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let (mut hasher, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        let read = file.read(&mut chunk).unwrap();
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
    }
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().unwrap()
}
