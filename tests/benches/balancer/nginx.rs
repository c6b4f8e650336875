//! Debian's nginx, as the target of both and as the balancer to compare with.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{children, pass};

const UP_WITHIN: Duration = Duration::from_secs(10);

pub(crate) struct Nginx {
    child: Child,
    config: PathBuf,
    workers: usize,
    pub(crate) address: SocketAddr,
}

/// What both say of themselves. The temporary folders are named since the usual ones belong to the system's own nginx.
fn frame(folder: &Path, name: &str, workers: usize, http: &str) -> String {
    let at = folder.display();
    format!(
        "worker_processes {workers}; pid {at}/{name}.pid; error_log {at}/{name}.err; daemon off;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ client_body_temp_path {at}/t1; proxy_temp_path {at}/t2; fastcgi_temp_path {at}/t3;\n\
         uwsgi_temp_path {at}/t4; scgi_temp_path {at}/t5;\n\
         keepalive_requests 1000000000; keepalive_timeout 3600;\n{http} }}\n"
    )
}

/// A line with the fields of an Application Load Balancer's, in blocks of 64 KiB and at least once a second, as ours.
const LOG: &str = r#"log_format alb 'http $time_iso8601 app/bench/1 $remote_addr:$remote_port $upstream_addr $upstream_connect_time $upstream_response_time $request_time $status $upstream_status $request_length $bytes_sent "$request" "$http_user_agent" - - group "$request_id" "$host" "-" 10 $time_iso8601 "forward" "-" "-" "$upstream_addr" "$upstream_status" "-" "-" TID_$connection';"#;

impl Nginx {
    /// Answers some forty bytes without looking at anything.
    pub(crate) fn origin(folder: &Path) -> Self {
        let address = free_address();
        let http = format!(
            "access_log off;\nserver {{ listen {address}; location / {{ default_type text/plain; \
             return 200 \"a small answer of some forty bytes, no more\\n\"; }} }}"
        );
        Self::start(folder, "origin", address, 1, &http)
    }

    /// With as many workers as the balancer has threads, the same headers added, and kept connections to the target.
    pub(crate) fn proxy(folder: &Path, origin: SocketAddr) -> Self {
        let address = free_address();
        let at = folder.display();
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let http = format!(
            "{LOG}\naccess_log {at}/nginx.log alb buffer=64k flush=1s;\n\
             upstream target {{ server {origin}; keepalive 128; keepalive_requests 1000000000; }}\n\
             server {{ listen {address}; location / {{ proxy_pass http://target; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto http;\n\
             proxy_set_header X-Forwarded-Port 80; proxy_set_header X-Amzn-Trace-Id \"Root=1-$request_id\"; }} }}"
        );
        Self::start(folder, "proxy", address, workers, &http)
    }

    fn start(folder: &Path, name: &str, address: SocketAddr, workers: usize, http: &str) -> Self {
        let config = folder.join(format!("{name}.conf"));
        std::fs::write(&config, frame(folder, name, workers, http)).unwrap();
        let child = command(&config)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts; on Debian: apt-get install nginx-light");
        let nginx = Self {
            child,
            config,
            workers,
            address,
        };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(
                begun.elapsed() < UP_WITHIN,
                "nginx does not listen; see {}",
                folder.display()
            );
            pass(Duration::from_millis(20));
        }
        nginx
    }

    /// The processes that serve. The first one listens before it starts them.
    pub(crate) fn workers(&self) -> Vec<u32> {
        let begun = Instant::now();
        loop {
            let workers = children(self.child.id());
            if workers.len() == self.workers {
                return workers;
            }
            assert!(
                begun.elapsed() < UP_WITHIN,
                "nginx has {workers:?} and not {}",
                self.workers
            );
            pass(Duration::from_millis(20));
        }
    }
}

fn command(config: &Path) -> Command {
    // A user's PATH often lacks the folder where Debian puts it.
    let of_the_system = Path::new("/usr/sbin/nginx");
    let program = if of_the_system.exists() {
        of_the_system
    } else {
        Path::new("nginx")
    };
    let mut command = Command::new(program);
    command.arg("-c").arg(config);
    command
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // To kill the first process would leave its workers behind.
        let _ = command(&self.config)
            .args(["-s", "stop"])
            .stderr(Stdio::null())
            .status();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
