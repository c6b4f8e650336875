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
use crate::process::{children, processor_s};
use crate::table::{Table, median};
use nginx::Nginx;
pub(crate) use served::serve;

/// The word that turns this program into the balancer to be measured.
pub(crate) const SERVE: &str = "serve-balancer";

/// Connections of the closed loop: enough that neither ever waits for work.
const CONNECTIONS: usize = 32;
const ROUNDS: usize = 5;
/// A bound that other work on the machine broke is looked at again over this many rounds in all.
const ROUNDS_MAX: usize = 15;

const THROUGHPUT_MIN: f64 = 0.6;
const P99_MAX: f64 = 2.0;
/// Of what the slower one carried: both have room, so that latencies are not those of a queue.
const EQUAL_LOAD: f64 = 0.4;

struct Contender {
    name: &'static str,
    address: SocketAddr,
    processes: Vec<u32>,
    per_s: Vec<f64>,
    p99_micros: Vec<f64>,
    processor_micros: Vec<f64>,
}

impl Contender {
    fn new(name: &'static str, address: SocketAddr, processes: Vec<u32>) -> Self {
        Self {
            name,
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
}

pub(crate) fn bench(form: Form, table: &mut Table) {
    let folder = tempfile::tempdir().unwrap();
    let origin = Nginx::origin(folder.path());
    let proxy = Nginx::proxy(folder.path(), origin.address);
    let ours = Ours::start(origin.address, folder.path());
    let mut both = [
        Contender::new("nginx", proxy.address, children(proxy.pid())),
        Contender::new("balancer", ours.address, vec![ours.child.id()]),
    ];
    let round = form.choose(Duration::from_secs(1), Duration::from_secs(5));
    for contender in &both {
        load::as_fast_as_it_goes(contender.address, CONNECTIONS, round / 2);
    }
    let throughput = rounds(
        &mut both,
        |contender| {
            let before = contender.processor_s();
            let requests = load::as_fast_as_it_goes(contender.address, CONNECTIONS, round);
            contender.per_s.push(requests / round.as_secs_f64());
            contender
                .processor_micros
                .push((contender.processor_s() - before) * 1e6 / requests);
            contender.per_s.clone()
        },
        |ratio| ratio >= THROUGHPUT_MIN,
    );
    let [nginx_per_s, our_per_s] = [0, 1].map(|at: usize| median(both[at].per_s.iter().copied()));
    table.at_least(
        "balancer: requests/s of nginx's",
        THROUGHPUT_MIN,
        throughput,
        " ×",
        &format!("{our_per_s:.0} beside {nginx_per_s:.0} a second"),
    );
    let [nginx_micros, our_micros] = [0, 1].map(|at: usize| median(both[at].processor_micros.iter().copied()));
    table.seen(
        "balancer: processor time of a request",
        format!("{our_micros:.1} µs beside {nginx_micros:.1} µs"),
    );

    let per_s = (EQUAL_LOAD * nginx_per_s.min(our_per_s)) as u32;
    let p99 = rounds(
        &mut both,
        |contender| {
            contender
                .p99_micros
                .push(load::at_rate(contender.address, per_s, round));
            contender.p99_micros.clone()
        },
        |ratio| ratio <= P99_MAX,
    );
    let [nginx_p99, our_p99] = [0, 1].map(|at: usize| median(both[at].p99_micros.iter().copied()));
    table.at_most(
        "balancer: p99 of nginx's at equal load",
        P99_MAX,
        p99,
        " ×",
        &format!("{our_p99:.0} µs beside {nginx_p99:.0} µs at {per_s} requests a second"),
    );
}

/// Alternates rounds of both and answers the ratio of the medians, ours to nginx's.
fn rounds(
    both: &mut [Contender; 2],
    mut measure: impl FnMut(&mut Contender) -> Vec<f64>,
    kept: impl Fn(f64) -> bool,
) -> f64 {
    let mut ratio = f64::NAN;
    for round in 1..=ROUNDS_MAX {
        let [nginx, ours] = both.each_mut().map(|contender| {
            let values = measure(contender);
            println!("   {} {:.0}", contender.name, values[values.len() - 1]);
            median(values)
        });
        ratio = ours / nginx;
        if round >= ROUNDS && kept(ratio) {
            break;
        }
    }
    ratio
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
