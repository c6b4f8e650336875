//! The listener's side: accepts clients, serves HTTP/1.1 on each connection, and ends those that are too slow.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::access_log::{Entry, Sizes, Times};
use super::client::{Client, ClientSocket};
use super::proxy::answer;
use super::{STAGE_CLOSING, STAGE_ENDED, Shared};
use crate::clock::clock;

/// After an accept that failed (no file descriptors left): long enough for some to be closed, short for a person.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// After a target was too late: time to write the 504, or for the rest of a stuck response, before the connection ends.
const SECOND_LOOK: Duration = Duration::from_millis(100);
/// The HTTP library reads a head into one buffer and wants at least this much.
const BUFFER_MIN: usize = 16 * 1024;

/// Accepts until the balancer closes, each client in a task of its own.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(shared.settings.max_client_connections));
    loop {
        let accepted = async {
            // Without a place free, clients wait in the kernel's queue.
            let place = Arc::clone(&places)
                .acquire_owned()
                .await
                .expect("nobody closes this semaphore");
            listener.accept().await.map(|(stream, peer)| (stream, peer, place))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            () = shared.closing.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let settings = &shared.settings;
                let seeds = [shared.chance.next(), shared.chance.next(), shared.chance.next()];
                let (port, idle, header) = (shared.address.port(), settings.idle_timeout, settings.header_timeout);
                let client = Arc::new(Client::new(peer, port, seeds, idle, header));
                shared.clients.spawn(serve(Arc::clone(&shared), stream, place, client));
            }
            Err(error) => {
                tracing::warn!(%error, "a client could not be accepted");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

fn http(shared: &Shared) -> http1::Builder {
    let head_max = shared.settings.max_header_bytes;
    let mut http = http1::Builder::new();
    http.half_close(true)
        .max_header_size(head_max)
        .max_buf_size((head_max + BUFFER_MIN).max(BUFFER_MIN));
    http
}

async fn serve(shared: Arc<Shared>, stream: TcpStream, place: OwnedSemaphorePermit, client: Arc<Client>) {
    if nodelay(&stream).is_err() {
        return; // The client is gone already.
    }
    let socket = TokioIo::new(ClientSocket::new(stream, place, Arc::clone(&client)));
    let service = {
        let (shared, client) = (Arc::clone(&shared), Arc::clone(&client));
        service_fn(move |request| answer(Arc::clone(&shared), Arc::clone(&client), request))
    };
    let mut connection = pin!(http(&shared).serve_connection(socket, service).with_upgrades());
    let mut timer = pin!(sleep_until(client.deadline()));
    let mut closing = pin!(shared.closing.cancelled());
    let mut ended = pin!(shared.ended.cancelled());
    let (mut listens, mut told_to_close) = (false, false);
    poll_fn(|cx| {
        // Both wake this task from now on. Asked again on each wake-up they would cost a lock that all connections
        // share; the stage is a plain number.
        if !std::mem::replace(&mut listens, true) {
            let _ = (closing.as_mut().poll(cx), ended.as_mut().poll(cx));
        }
        let stage = shared.stage.load(Ordering::Acquire);
        if stage == STAGE_ENDED {
            return Poll::Ready(());
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            // How else a connection ends is no news: the client's fault, or its wish.
            if let Some(error) = ended.err().filter(hyper::Error::is_parse) {
                write_unreadable(&shared, &client, &error);
            }
            return Poll::Ready(());
        }
        if !told_to_close && stage == STAGE_CLOSING {
            told_to_close = true;
            connection.as_mut().graceful_shutdown();
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        match look_at_time(&client, timer.as_mut(), cx) {
            Patience::Left => Poll::Pending,
            Patience::Over => Poll::Ready(()),
            Patience::TargetIsLate => {
                let over = connection.as_mut().poll(cx).map(|_| ());
                timer
                    .as_mut()
                    .reset(client.deadline().max(Instant::now() + SECOND_LOOK));
                // Registers the new time; it cannot be over yet.
                let _ = timer.as_mut().poll(cx);
                over
            }
        }
    })
    .await;
}

/// The HTTP library itself answers what it cannot read as a request; the access log has a line of it all the same.
fn write_unreadable(shared: &Shared, client: &Client, error: &hyper::Error) {
    let Some(log) = &shared.log else { return };
    let now = clock();
    log.write(&Entry {
        time: now,
        created: now,
        name: &shared.settings.name,
        client: client.peer,
        target: None,
        times: Times {
            request: None,
            target: None,
            response: None,
        },
        elb_status: if error.is_parse_too_large() { 431 } else { 400 },
        target_status: None,
        sizes: Sizes { received: 0, sent: 0 },
        request: "- - - ",
        user_agent: "-",
        group: None,
        trace: "-",
        domain: "-",
        rule: None,
        action: "-",
        redirect: None,
        error: Some("BadRequest"),
        connection_id: client.connection_id,
    });
}

fn nodelay(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}

enum Patience {
    Left,
    Over,
    /// The request at hand was told so and answers 504.
    TargetIsLate,
}

fn look_at_time(client: &Client, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Patience {
    let deadline = client.deadline();
    // A later deadline is seen when the timer fires; only an earlier one must move it.
    if deadline < timer.deadline() && !client.is_late() {
        timer.as_mut().reset(deadline);
    }
    while timer.as_mut().poll(cx).is_ready() {
        let deadline = client.deadline();
        if Instant::now() < deadline {
            timer.as_mut().reset(deadline);
        } else if client.set_late() {
            // Its 504 moves bytes and thereby the deadline; where even that is stuck, the next look ends it.
            return Patience::TargetIsLate;
        } else {
            return Patience::Over;
        }
    }
    Patience::Left
}
