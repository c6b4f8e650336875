//! Raw bytes at the local load balancer, as a client may send them, and what reaches a target.
//!
//! An independent reader says which requests the bytes hold. What the target sees must be the first of those, in order,
//! each as one request with the same method, target, host and body, and nothing behind it: then nothing was smuggled.

mod oracle;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arya_local::balancer::alb::HealthCheckSettings;
use arya_local::balancer::{Balancer, BalancerSettings, GroupSettings, Target};
use arya_plan::listener::{Action, Forward, GroupId, Priority, Rule, RuleId, WeightedGroup};

use oracle::{Message, messages, next};

/// The client closes its half behind its bytes, so nothing has to be waited for; what takes longer hangs.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Nobody asks for it by chance, and it is not written down.
const HEALTH: &str = "/health-check-of-the-fuzzed-balancer";

/// What reached the target since the last input.
static SEEN: Mutex<Vec<Message>> = Mutex::new(Vec::new());
/// What reached it that is no request, or follows one without having been asked for.
static FAULTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// Connections to the target that stand within a request.
static UNFINISHED: AtomicUsize = AtomicUsize::new(0);

struct World {
    balancer: Balancer,
    _runtime: tokio::runtime::Runtime,
}

static WORLD: OnceLock<World> = OnceLock::new();

fn world() -> &'static World {
    WORLD.get_or_init(|| {
        let target = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = target.local_addr().expect("it is bound");
        std::thread::spawn(move || {
            for stream in target.incoming().flatten() {
                std::thread::spawn(move || be_a_target(stream));
            }
        });
        let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
        let balancer = runtime.block_on(balancer(address));
        World {
            balancer,
            _runtime: runtime,
        }
    })
}

async fn balancer(target: SocketAddr) -> Balancer {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let balancer = Balancer::start(listener, BalancerSettings::default())
        .await
        .expect("it starts with these settings");
    let group = GroupId::new("g");
    let health_check = HealthCheckSettings {
        path: HEALTH.to_owned(),
        interval: Duration::from_secs(300),
        ..HealthCheckSettings::default()
    };
    let settings = GroupSettings {
        health_check,
        ..GroupSettings::default()
    };
    balancer
        .create_group(group.clone(), settings)
        .expect("the group is new");
    let target = Target {
        id: "t".to_owned(),
        address: target,
    };
    balancer.register(&group, target).expect("the group is there");
    let forward = Forward {
        groups: vec![WeightedGroup { group, weight: 1 }],
        stickiness_s: None,
    };
    let everything = Rule {
        id: RuleId::new("default"),
        priority: Priority::Default,
        conditions: vec![],
        actions: vec![Action::Forward(forward)],
        transforms: vec![],
        owner: None,
    };
    balancer.set_rules(vec![everything]).expect("its group is there");
    balancer
}

pub(crate) fn run(bytes: &[u8]) {
    let world = world();
    let (answer, whole) = ask(world.balancer.address(), bytes);
    settled(world);
    let seen = std::mem::take(&mut *locked(&SEEN));
    let faults = std::mem::take(&mut *locked(&FAULTS));
    assert!(faults.is_empty(), "the target was told what is no request: {faults:#?}");
    let asked = messages(bytes);
    assert!(
        seen.len() <= asked.len(),
        "{} requests were asked and {} reached the target: {seen:#?}",
        asked.len(),
        seen.len()
    );
    for (seen, asked) in seen.iter().zip(&asked) {
        seen.must_be(asked);
    }
    if whole {
        // An old client is answered in its own version.
        let answered: usize = ["HTTP/1.1 200 OK", "HTTP/1.0 200 OK"]
            .map(|line| answer.matches(line).count())
            .iter()
            .sum();
        assert_eq!(answered, seen.len(), "{answer}");
    }
}

/// The whole answer, and whether it is known to be the whole: a reset may have taken a part.
fn ask(address: SocketAddr, bytes: &[u8]) -> (String, bool) {
    let mut stream = TcpStream::connect(address).expect("the balancer listens");
    stream
        .set_read_timeout(Some(ANSWER_MAX))
        .expect("the limit is not zero");
    // A balancer that refuses early need not read the rest.
    let sent = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if let Err(error) = &read {
        let waited = matches!(
            error.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        );
        assert!(!waited, "no end of the answer within {ANSWER_MAX:?}: {answer:?}");
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer, sent.is_ok() && read.is_ok())
}

/// Waits until the target has heard the end of everything, and the balancer holds nothing of it.
fn settled(world: &World) {
    let begun = Instant::now();
    let in_flight = || {
        let groups = world.balancer.group_states();
        groups
            .iter()
            .flat_map(|group| &group.targets)
            .map(|target| target.in_flight)
            .sum::<u64>()
    };
    while UNFINISHED.load(SeqCst) > 0 || in_flight() > 0 {
        assert!(begun.elapsed() < ANSWER_MAX, "a request is still in flight");
        std::thread::yield_now();
    }
}

/// Reads requests one by one, answers each, and writes down what is wrong with the bytes.
fn be_a_target(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    let mut more = [0; 16 * 1024];
    let mut unfinished = false;
    loop {
        let read = stream.read(&mut more).unwrap_or(0);
        bytes.extend_from_slice(&more[..read]);
        if !unfinished && !bytes.is_empty() {
            UNFINISHED.fetch_add(1, SeqCst);
            unfinished = true;
        }
        match next(&bytes) {
            Ok(Some((message, length))) => {
                if length < bytes.len() {
                    locked(&FAULTS).push(format!("bytes behind {message:?}: {:?}", &bytes[length..]));
                }
                bytes.clear();
                let is_head = message.method == "HEAD";
                if message.target != HEALTH {
                    locked(&SEEN).push(message);
                }
                unfinished = false;
                UNFINISHED.fetch_sub(1, SeqCst);
                let body = if is_head { "" } else { "ok" };
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
            // A body that its client did not finish is cut off here too, which is how a target is told.
            Ok(None) if read > 0 => {}
            Ok(None) => break,
            Err(fault) => {
                locked(&FAULTS).push(format!("{fault}: {:?}", String::from_utf8_lossy(&bytes)));
                break;
            }
        }
    }
    if unfinished {
        UNFINISHED.fetch_sub(1, SeqCst);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every form of framing and of request target, and the ways in which they are attacked.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let posts = [
        "Content-Length: 3\r\n\r\nabc",
        "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding:\tchunked\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n",
        "Connection: Content-Length, close, X-A\r\nX-A: 1\r\nContent-Length: 1\r\n\r\na",
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\na",
        "X-Forwarded-For: 10.0.0.1\r\n folded: 1\r\n\r\n",
    ];
    let gets = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /a?b#c HTTP/1.1\r\nHost: a.b:80\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
        "GET http://b:81?x=1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET /\nHost: a\n\n",
        "GET / HTTP/1.1\nHost: a\nX: 1\n\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let posts = posts.map(|rest| format!("POST /p HTTP/1.1\r\nHost: a\r\n{rest}{HIDDEN}"));
    let gets = gets.map(|get| format!("{get}{HIDDEN}"));
    posts.into_iter().chain(gets).map(String::into_bytes).collect()
}
