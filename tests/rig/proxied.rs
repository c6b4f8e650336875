//! A subnet without a way out of its own: packages and files come by the proxy that the spec names.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arya_plan::observed::BootPhase;

use crate::deployed::Order;
use crate::machine::{Image, Machine, bridge};

/// Packages included, which come through us.
const READY_WITHIN: Duration = Duration::from_secs(240);

#[test]
fn a_machine_that_reaches_its_proxy_alone_sets_itself_up() {
    let mut order = Order::new();
    let (proxy, passed) = open(bridge());
    order.http_proxy = Some(format!("http://{proxy}"));
    order.upload_image();
    let machine = Machine::launch(Image::Fresh, &order.user_data());
    // Names too: the proxy resolves them.
    machine.run(&format!(
        "iptables --insert OUTPUT --out-interface eth0 --jump REJECT && \
         iptables --insert OUTPUT --protocol tcp --destination {} --dport {} --jump ACCEPT",
        proxy.ip(),
        proxy.port()
    ));
    order.wait_for(BootPhase::Ready, READY_WITHIN);
    let passed = passed.lock().unwrap().clone();
    for part in [
        "/debian/dists/",
        "/bucket/settings?",
        "/bucket/image?",
        "/bucket/status/",
    ] {
        assert!(
            passed.iter().any(|url| url.contains(part)),
            "{part} by another way: {passed:#?}"
        );
    }
    let docker = machine.run("docker info --format '{{.HTTPProxy}} {{.HTTPSProxy}}'");
    assert_eq!(docker.trim(), format!("http://{proxy} http://{proxy}"));
}

/// What was asked, oldest first.
type Passed = Arc<Mutex<Vec<String>>>;

/// Where it listens until the process ends, and what it passes on.
fn open(on: IpAddr) -> (SocketAddr, Passed) {
    let listener = TcpListener::bind((on, 0)).unwrap();
    let (address, passed) = (listener.local_addr().unwrap(), Passed::default());
    let telling = Arc::clone(&passed);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let telling = Arc::clone(&telling);
            // A client that goes away is its own affair.
            std::thread::spawn(move || drop(pass(&client, &telling)));
        }
    });
    (address, passed)
}

/// One request of a connection, which ends with its answer: `GET http://host/path` is asked of that host. Bodies follow their heads.
fn pass(client: &TcpStream, passed: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut from = BufReader::new(client);
    let mut line = String::new();
    from.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(url)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = if host.contains(':') { "" } else { ":80" };
    let mut server = TcpStream::connect(format!("{host}{port}"))?;
    write!(server, "{method} {path} HTTP/1.1\r\nconnection: close\r\n")?;
    loop {
        let mut header = String::new();
        from.read_line(&mut header)?;
        let name = header.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if !["connection", "proxy-connection"].contains(&name.as_str()) {
            server.write_all(header.as_bytes())?;
        }
        if header.trim().is_empty() {
            break;
        }
    }
    passed.lock().unwrap().push(url.to_owned());
    let mut to_server = server.try_clone()?;
    let mut body = client.try_clone()?;
    let begun = from.buffer().to_vec();
    std::thread::spawn(move || {
        // Whoever has nothing more to say ends this.
        drop(to_server.write_all(&begun));
        drop(std::io::copy(&mut body, &mut to_server));
        drop(to_server.shutdown(Shutdown::Write));
    });
    let mut to_client = client;
    std::io::copy(&mut server, &mut to_client)?;
    client.shutdown(Shutdown::Both)
}
