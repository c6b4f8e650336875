//! One target: its requests in flight, and its connections that are kept alive.
//!
//! A connection has no task of its own. Whoever waits for its answer drives it, so that a request costs no wake-up of a
//! second task; an idle one is looked at when it is taken out, and by the keeper that closes old ones.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::body::RequestBody;
use super::settings::Target;
use super::target_socket::{HeadBudget, TargetSocket};

/// A target as requests see it. A target that is registered again is a new one.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) target: Target,
    in_flight: AtomicU64,
    closed: AtomicBool,
    emptied: Notify,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Box<TargetConnection>,
    since: Instant,
}

impl Endpoint {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            in_flight: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            emptied: Notify::new(),
            idle: Mutex::default(),
        }
    }

    /// Counts one more request; `None` once the target was closed.
    pub(super) fn enter(self: &Arc<Self>) -> Option<InFlight> {
        // First counted, then looked: `close` does it the other way round, so one of the two sees the other.
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let entered = InFlight(Arc::clone(self));
        (!self.closed.load(Ordering::SeqCst)).then_some(entered)
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Takes no request any more; those in flight are left alone.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.idle().clear();
    }

    /// Returns when no request is in flight. Meant for a closed target.
    pub(super) async fn emptied(&self) {
        loop {
            let mut emptied = pin!(self.emptied.notified());
            // Listens before it looks, or the last request could leave in between.
            emptied.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// A kept connection that the target has not closed meanwhile.
    pub(super) fn take_idle(&self, max_idle: Duration) -> Option<Box<TargetConnection>> {
        loop {
            let mut kept = self.idle().pop()?;
            if kept.since.elapsed() < max_idle && kept.connection.is_usable() {
                return Some(kept.connection);
            }
        }
    }

    /// Keeps a connection whose response is over, if there is room and it may serve again.
    pub(super) fn keep(&self, connection: Box<TargetConnection>, room: usize) {
        if connection.over || self.closed.load(Ordering::SeqCst) {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < room {
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// Closes connections that were idle too long.
    pub(super) fn forget_old(&self, max_idle: Duration) {
        self.idle().retain(|kept| kept.since.elapsed() < max_idle);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        // A panic elsewhere cannot leave a list of connections half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request at a target, from its choice to the last byte of the response.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Endpoint>);

impl InFlight {
    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let before = self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        if before == 1 && self.0.closed.load(Ordering::SeqCst) {
            self.0.emptied.notify_waiters();
        }
    }
}

/// A connection to a target with at most one request on it.
#[derive(Debug)]
pub(super) struct TargetConnection {
    sender: SendRequest<RequestBody>,
    driver: Driver,
    head: HeadBudget,
    over: bool,
}

type Driver = Connection<TokioIo<TargetSocket>, RequestBody>;

/// A request that got no answer; with the request itself where none of it had been sent.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) unsent: Option<Request<RequestBody>>,
}

impl TargetConnection {
    pub(super) async fn open(target: &Target, limit: Duration) -> io::Result<Box<Self>> {
        let connecting = async {
            let stream = TcpStream::connect(target.address).await?;
            stream.set_nodelay(true)?;
            let (socket, head) = TargetSocket::new(stream);
            let (sender, driver) = Builder::new()
                .handshake(TokioIo::new(socket))
                .await
                .map_err(io::Error::other)?;
            Ok::<_, io::Error>((sender, driver, head))
        };
        let (sender, driver, head) = timeout(limit, connecting)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(Box::new(Self {
            sender,
            driver,
            head,
            over: false,
        }))
    }

    /// Moves bytes both ways as far as possible.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.over && Pin::new(&mut self.driver).poll(cx).is_ready() {
            self.over = true;
        }
    }

    /// Whether a further request may be sent: the peer has not closed, and nothing of the last exchange is left.
    fn is_usable(&mut self) -> bool {
        // Nobody waits for this connection yet, so nobody is to be woken.
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.over && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn ask(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, Unanswered> {
        self.head.begins();
        // The answer can only arrive while the connection is driven, here and by the same task: it wakes nobody, and
        // must not be held back by the task's budget, since then nobody would come back for it.
        let mut answer = pin!(tokio::task::unconstrained(self.sender.try_send_request(request)));
        let (driver, over) = (&mut self.driver, &mut self.over);
        let answered = poll_fn(|cx| {
            if !*over && Pin::new(&mut *driver).poll(cx).is_ready() {
                *over = true;
            }
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(answered) => Poll::Ready(Some(answered)),
                Poll::Pending if *over => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        let answered = answered.await;
        self.head.is_over();
        match answered {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut failed)) => Err(Unanswered {
                unsent: failed.take_message(),
            }),
            None => Err(Unanswered { unsent: None }),
        }
    }

    /// The parts, for a connection that will speak another protocol and then needs a task of its own.
    pub(super) fn into_parts(self) -> (SendRequest<RequestBody>, Driver, HeadBudget) {
        (self.sender, self.driver, self.head)
    }
}
