//! The balancer beside Debian's nginx: same two workers, same target, same headers added, both with an access log, both
//! with kept connections to the target. Rounds alternate, so that whatever else the machine does falls on both.

mod load;
mod nginx;
mod served;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Form;
use crate::process::processor_s;
use crate::table::{Table, quantile};
use nginx::Nginx;
pub(crate) use served::serve;

/// The word that turns this program into the balancer to be measured.
pub(crate) const SERVE: &str = "serve-balancer";

/// Connections of the closed loop: enough that neither ever waits for work.
const CONNECTIONS: usize = 32;

const WARM_UP: Duration = Duration::from_millis(500);

/// What both must keep beside nginx.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    per_s_min: f64,
    per_processor_s_min: f64,
    p99_max: f64,
}

/// Of what the slower one carried: both have room, so that latencies are not those of a queue.
const EQUAL_LOAD: f64 = 0.4;

/// How often both take turns. Short turns and many, since what a neighbour does in between must fall on both. What counts
/// is the better quartile of either: a neighbour only ever takes away, and a single lucky turn is no measure.
#[derive(Debug, Clone, Copy)]
struct Rounds {
    each: Duration,
    least: usize,
    /// A bound that looks broken is looked at again over this many rounds in all.
    most: usize,
    bounds: Bounds,
}

impl Rounds {
    const fn new(form: Form) -> Self {
        match form {
            Form::Quick => Self {
                each: Duration::from_millis(400),
                least: 8,
                most: 20,
                // With slack, since CI's machine has neighbours: where two processors carry ten times their work, what
                // the clock measures halves now and then. Processor time hardly hears them.
                bounds: Bounds {
                    per_s_min: 0.3,
                    per_processor_s_min: 0.5,
                    p99_max: 4.0,
                },
            },
            Form::Full => Self {
                each: Duration::from_secs(2),
                least: 15,
                most: 15,
                bounds: Bounds {
                    per_s_min: 0.6,
                    per_processor_s_min: 0.6,
                    p99_max: 2.0,
                },
            },
        }
    }
}

struct Contender {
    address: SocketAddr,
    processes: Vec<u32>,
    per_s: Vec<f64>,
    p99_micros: Vec<f64>,
    processor_micros: Vec<f64>,
}

impl Contender {
    fn new(address: SocketAddr, processes: Vec<u32>) -> Self {
        Self {
            address,
            processes,
            per_s: Vec::new(),
            p99_micros: Vec::new(),
            processor_micros: Vec::new(),
        }
    }

    fn processor_s(&self) -> f64 {
        self.processes.iter().map(|pid| processor_s(*pid)).sum()
    }

    fn per_s(&self) -> f64 {
        quantile(self.per_s.iter().copied(), 0.75)
    }

    fn processor_micros(&self) -> f64 {
        quantile(self.processor_micros.iter().copied(), 0.25)
    }

    fn p99_micros(&self) -> f64 {
        quantile(self.p99_micros.iter().copied(), 0.25)
    }
}

pub(crate) fn bench(form: Form, table: &mut Table) {
    let folder = tempfile::tempdir().unwrap();
    let origin = Nginx::origin(folder.path());
    let proxy = Nginx::proxy(folder.path(), origin.address);
    let ours = Ours::start(origin.address, folder.path());
    let mut both = [
        Contender::new(proxy.address, proxy.workers()),
        Contender::new(ours.address, vec![ours.child.id()]),
    ];
    let rounds = Rounds::new(form);
    for contender in &both {
        load::as_fast_as_it_goes(contender.address, CONNECTIONS, WARM_UP);
    }
    throughput(&mut both, rounds, table);
    let [nginx, ours] = both.each_ref().map(Contender::per_s);
    let per_s = (EQUAL_LOAD * nginx.min(ours)) as u32;
    latency(&mut both, rounds, per_s, table);
}

/// With all connections busy. The load and the target share the processors with either, and would hide half of a
/// difference; processor time of a request shows it whole, and hardly hears the neighbours. So both must keep the bound.
fn throughput(both: &mut [Contender; 2], rounds: Rounds, table: &mut Table) {
    let bounds = rounds.bounds;
    let measure = |contender: &mut Contender| {
        let before = contender.processor_s();
        let requests = load::as_fast_as_it_goes(contender.address, CONNECTIONS, rounds.each);
        contender.per_s.push(requests / rounds.each.as_secs_f64());
        let micros = (contender.processor_s() - before) * 1e6 / requests;
        contender.processor_micros.push(micros);
    };
    take_turns(both, rounds, measure, |both| {
        let [nginx_per_s, our_per_s] = both.each_ref().map(Contender::per_s);
        let [nginx_micros, our_micros] = both.each_ref().map(Contender::processor_micros);
        our_per_s / nginx_per_s >= bounds.per_s_min && nginx_micros / our_micros >= bounds.per_processor_s_min
    });
    let [nginx, ours] = both.each_ref().map(Contender::per_s);
    table.at_least(
        "balancer: requests/s of nginx's",
        bounds.per_s_min,
        ours / nginx,
        " ×",
        &format!("{ours:.0} beside {nginx:.0} a second"),
    );
    let [nginx, ours] = both.each_ref().map(Contender::processor_micros);
    table.at_least(
        "balancer: requests per second of processor time, of nginx's",
        bounds.per_processor_s_min,
        nginx / ours,
        " ×",
        &format!("{ours:.1} µs beside {nginx:.1} µs a request"),
    );
}

/// With both carrying the same, of which each is well capable.
fn latency(both: &mut [Contender; 2], rounds: Rounds, per_s: u32, table: &mut Table) {
    let bounds = rounds.bounds;
    let measure = |contender: &mut Contender| {
        let p99 = load::at_rate(contender.address, per_s, rounds.each);
        contender.p99_micros.push(p99);
    };
    take_turns(both, rounds, measure, |both| {
        let [nginx, ours] = both.each_ref().map(Contender::p99_micros);
        ours / nginx <= bounds.p99_max
    });
    let [nginx, ours] = both.each_ref().map(Contender::p99_micros);
    table.at_most(
        "balancer: p99 of nginx's at equal load",
        bounds.p99_max,
        ours / nginx,
        " ×",
        &format!("{ours:.0} µs beside {nginx:.0} µs at {per_s} requests a second"),
    );
}

fn take_turns(
    both: &mut [Contender; 2],
    rounds: Rounds,
    measure: impl Fn(&mut Contender),
    kept: impl Fn(&[Contender; 2]) -> bool,
) {
    for round in 1..=rounds.most {
        both.iter_mut().for_each(&measure);
        if round >= rounds.least && kept(both) {
            break;
        }
    }
}

/// The balancer as a child of this program.
struct Ours {
    child: Child,
    address: SocketAddr,
}

impl Ours {
    fn start(origin: SocketAddr, folder: &std::path::Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([SERVE, &origin.to_string()])
            .arg(folder.join("balancer.log"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().parse().unwrap();
        Self { child, address }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        // Its standard input ends with this, and it with that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
