//! Resident memory of `arya try`: soon after the start, through many deployments, and after four hours of serving.
//!
//! The four hours pass twelve times as fast: libfaketime (Debian: `faketime`) tells the program and its children so, and
//! shortens their waits, while everything else is the program as it is released. Twelve times as many scrapes, blocks,
//! health checks and judgements per real second go through the real monitor, store and judge.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Arya, arya_binary};

use crate::Form;
use crate::exchange::{Connection, get};
use crate::process::{pass, resident_mib};
use crate::table::Table;

const IDLE_MIB_MAX: f64 = 40.0;
const SERVED_MIB_MAX: f64 = 96.0;
const SERVING_MAX: Duration = Duration::from_secs(30);
const DESTROYED_MAX: Duration = Duration::from_secs(30);

/// The word that makes this program serve four hours; its time is that of the program it starts.
pub(crate) const HOURS: &str = "four-hours";
const SERVED: Duration = Duration::from_secs(4 * 3600);
const FASTER: u32 = 12;
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
/// A person who looks at the page all the time, in real seconds.
const LOOK: Duration = Duration::from_secs(5);

pub(crate) fn bench(form: Form, table: &mut Table) {
    let arya = Arya::start(&[]);
    let after = form.choose(Duration::from_secs(10), Duration::from_secs(60));
    pass(after);
    let [idle, _] = resident_mib(arya.pid());
    let what = format!("memory {} s after the start, no deployment", after.as_secs());
    table.at_most(&what, IDLE_MIB_MAX, idle, " MiB", "");

    // The first cycles fill buffers that every later one uses again.
    let (first, more) = form.choose((2, 2), (10, 40));
    (0..first).for_each(|number| cycle(&arya, number));
    let [warm, _] = resident_mib(arya.pid());
    (first..first + more).for_each(|number| cycle(&arya, number));
    let [grown, _] = resident_mib(arya.pid());
    let what = format!("memory after {} deployments that are over", first + more);
    let each = (grown - warm) / f64::from(more);
    table.at_most(
        &what,
        IDLE_MIB_MAX,
        grown,
        " MiB",
        &format!("{each:.2} MiB each since the first {first}"),
    );
    drop(arya);
    if form == Form::Full {
        let served = four_hours();
        table.at_most(
            "memory after serving for 4 h (12 × as fast)",
            SERVED_MIB_MAX,
            served,
            " MiB",
            "",
        );
    }
}

fn cycle(arya: &Arya, number: u32) {
    let deployment = arya.deploy(&arya.spec(&format!("cycle {number}"), "canary", 20.0));
    deployment.wait_phase("serving", SERVING_MAX);
    deployment.set_share(5.0);
    deployment.destroy_and_prove(DESTROYED_MAX);
}

/// Has a copy of this program do it, for which the program under test is one that lives faster.
fn four_hours() -> f64 {
    assert!(
        Path::new(LIBRARY).exists(),
        "{LIBRARY} is missing, so four hours would take four hours. On Debian: apt-get install faketime"
    );
    let folder = tempfile::tempdir().unwrap();
    let faster = folder.path().join("arya");
    let script = format!(
        "#!/bin/sh\nLD_PRELOAD={LIBRARY} FAKETIME='+0 x{FASTER}' exec {} \"$@\"\n",
        arya_binary().display()
    );
    std::fs::write(&faster, script).unwrap();
    std::fs::set_permissions(&faster, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .arg(HOURS)
        .env("ARYA_BIN", faster)
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    print!("{said}");
    said.lines().last().unwrap().parse().unwrap()
}

/// Prints the memory now and then, and at last alone on a line.
pub(crate) fn serve_four_hours() {
    let arya = Arya::start(&["--load", "50"]);
    let mut spec = arya.spec("four hours", "canary", 20.0);
    spec["lifetime_h"] = json!(24);
    let mut deployment = arya.deploy(&spec);
    deployment.wait_phase("serving", SERVING_MAX);
    let origin = arya.origin();
    let host = origin.trim_start_matches("http://");
    let login = format!("Authorization: Bearer {}\r\n", arya.token());
    let (begun, mut looks, mut anew) = (Instant::now(), 0_u32, 0_u32);
    while begun.elapsed() * FASTER < SERVED {
        pass(LOOK);
        let mut connection = Connection::open(host.parse().unwrap());
        for page in ["", "/report"] {
            connection.ask(&get(&format!("/deployments/{}{page}", deployment.id), host, &login));
        }
        connection.ask(&get("/", host, &login));
        // A machine that stands still for a moment stands still for twelve: targets fail their checks, and the
        // deployment is rightly taken out. Then another one serves the rest of the time.
        if deployment.look()["phase"] != "serving" {
            deployment.destroy_and_prove(DESTROYED_MAX);
            anew += 1;
            spec["name"] = json!(format!("four hours {anew}"));
            deployment = arya.deploy(&spec);
            deployment.wait_phase("serving", SERVING_MAX);
        }
        if looks.is_multiple_of(24) {
            let [now, _] = resident_mib(arya.pid());
            println!(
                "   after {:.2} h: {now:.1} MiB",
                (begun.elapsed() * FASTER).as_secs_f64() / 3600.0
            );
        }
        looks += 1;
    }
    println!("   deployments that were taken out and replaced: {anew}");
    // The sentence says from how many requests the judge has drawn it, so that nobody takes an idle run for four hours.
    println!("   {}", deployment.verdict()["sentence"]);
    println!("{:.1}", resident_mib(arya.pid())[0]);
}
