//! One moto server on a free port, which ends with the test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// It answers within a second on an idle machine.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Moto {
    server: Child,
    address: SocketAddr,
}

impl Moto {
    pub(crate) async fn start() -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into()).await
    }

    /// Where others than this machine's programs reach it too.
    pub(crate) async fn start_on(host: IpAddr) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/moto/bin/moto_server");
        assert!(
            program.exists(),
            "moto is not installed in target/moto. Run `cargo xtask test --only aws`, which installs it."
        );
        let free = TcpListener::bind((host, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let server = Command::new(program)
            .args(["-H", &host.to_string(), "-p", &address.port().to_string()])
            // Its own 1,300 images take a second and more to load; the account registers the one that it needs.
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
            .env("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "1")
            .env("MOTO_ENABLE_AMI_VALIDATION", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { server, address };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < STARTS_WITHIN, "moto did not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        moto
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// After so many more calls, every one needs a key that moto knows and a policy that allows it.
    pub(crate) async fn check_after(&self, calls: u32) {
        let url = format!("{}/moto-api/reset-auth", self.endpoint());
        let asked = tokio::task::spawn_blocking(move || {
            let request = ureq::post(&url).header("Content-Type", "text/plain");
            request.send(calls.to_string()).unwrap();
        });
        asked.await.unwrap();
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to end.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
