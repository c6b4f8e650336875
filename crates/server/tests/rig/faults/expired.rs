//! A way to the bucket on which one object's URL has expired: moto takes every signature for ever.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use crate::network::HERE;

/// As S3 says it.
const EXPIRED: &str = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
/// Longer than the first line of any request of an instance.
const FIRST_BYTES: usize = 4096;

/// Where it listens until the process ends.
pub(super) fn gate(bucket: SocketAddr, path: String) -> SocketAddr {
    let listener = TcpListener::bind((HERE, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let path = path.clone();
            // A client that goes away is its own affair.
            std::thread::spawn(move || drop(pass(stream, bucket, &path)));
        }
    });
    address
}

/// One connection, which is one request of curl's.
fn pass(mut client: TcpStream, bucket: SocketAddr, path: &str) -> std::io::Result<()> {
    let mut first = [0; FIRST_BYTES];
    let length = client.read(&mut first)?;
    let line = String::from_utf8_lossy(&first[..length]);
    if line.starts_with("GET ") && line.lines().next().is_some_and(|line| line.contains(path)) {
        return write!(
            client,
            "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{EXPIRED}",
            EXPIRED.len()
        );
    }
    let mut server = TcpStream::connect(bucket)?;
    server.write_all(&first[..length])?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        // Either end may go first.
        drop(std::io::copy(&mut from_client, &mut to_server));
        drop(to_server.shutdown(Shutdown::Write));
    });
    std::io::copy(&mut server, &mut client).map(drop)
}
