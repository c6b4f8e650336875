//! A client that costs little: bytes of a request out, bytes of a response in, on a connection that is kept.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer that takes longer is none.
const ANSWER_MAX: Duration = Duration::from_secs(20);

pub(crate) fn get(path: &str, host: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench\r\nAccept: */*\r\n{headers}\r\n").into_bytes()
}

/// The length of the response at the start of these bytes, once all of it is there. Only responses with a length are
/// understood, which is what every server of these benches sends.
pub(crate) fn complete(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).unwrap();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().unwrap())
    });
    let whole = head + length.unwrap_or_else(|| panic!("a response without a length: {text}"));
    (bytes.len() >= whole).then_some(whole)
}

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        Self {
            stream,
            buffer: vec![0; 1024 * 1024],
        }
    }

    /// Sends a request and reads the whole answer, which must be a 200.
    pub(crate) fn ask(&mut self, request: &[u8]) -> &[u8] {
        self.stream.write_all(request).unwrap();
        let mut filled = 0;
        while complete(&self.buffer[..filled]).is_none() {
            let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert!(
                read > 0,
                "closed after {:?}",
                String::from_utf8_lossy(&self.buffer[..filled])
            );
            filled += read;
        }
        let answer = &self.buffer[..filled];
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(answer)
        );
        answer
    }
}
