//! Load in two forms: as much as is answered, and as much as is asked for.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::exchange::{Connection, complete, get};
use crate::process::pass;

/// Each sends in turn, so that a slow answer delays only its own lane's next request, whose delay counts.
const LANES: u32 = 16;

fn request() -> Vec<u8> {
    get("/api/records/7?limit=10", "emr.example.com", "")
}

/// How many requests are answered within a time by so many connections that never pause.
pub(crate) fn as_fast_as_it_goes(address: SocketAddr, connections: usize, time: Duration) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let end = Instant::now() + time;
        let lanes: Vec<_> = (0..connections)
            .map(|_| tokio::spawn(without_pause(address, end)))
            .collect();
        let mut answered = 0;
        for lane in lanes {
            answered += lane.await.unwrap();
        }
        f64::from(answered)
    })
}

async fn without_pause(address: SocketAddr, end: Instant) -> u32 {
    let request = request();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 8 * 1024];
    let mut answered = 0;
    while Instant::now() < end {
        stream.write_all(&request).await.unwrap();
        let mut filled = 0;
        while complete(&buffer[..filled]).is_none() {
            let read = stream.read(&mut buffer[filled..]).await.unwrap();
            assert!(read > 0, "closed");
            filled += read;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"));
        answered += 1;
    }
    answered
}

/// The 99th percentile in microseconds, from when a request was due to the end of its answer.
pub(crate) fn at_rate(address: SocketAddr, per_s: u32, time: Duration) -> f64 {
    let stop = AtomicBool::new(false);
    let begin = Instant::now() + Duration::from_millis(50);
    let each = Duration::from_secs_f64(f64::from(LANES) / f64::from(per_s));
    let mut micros: Vec<u64> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let (stop, first) = (&stop, begin + each.mul_f64(f64::from(lane) / f64::from(LANES)));
                // Threads and not tasks: a timer of the runtime is a millisecond too coarse for this.
                scope.spawn(move || lane_at_rate(address, first, each, stop))
            })
            .collect();
        pass(time);
        stop.store(true, Ordering::SeqCst);
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    micros.sort_unstable();
    micros[micros.len() * 99 / 100] as f64
}

fn lane_at_rate(address: SocketAddr, first: Instant, each: Duration, stop: &AtomicBool) -> Vec<u64> {
    let (request, mut connection) = (request(), Connection::open(address));
    let (mut due, mut micros) = (first, Vec::new());
    while !stop.load(Ordering::SeqCst) {
        pass(due.saturating_duration_since(Instant::now()));
        connection.ask(&request);
        micros.push(due.elapsed().as_micros() as u64);
        due += each;
    }
    micros
}
