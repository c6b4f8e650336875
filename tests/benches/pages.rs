//! What a page costs: from the request on a kept connection to the last byte, with a deployment that serves.

use std::time::{Duration, Instant};

use tests::Arya;

use crate::Form;
use crate::exchange::{Connection, get};
use crate::table::{Table, median};

const SERVING_MAX: Duration = Duration::from_secs(30);
/// A page that takes longer is felt; most of it is the machine's, not the template's.
const PAGE_MICROS_MAX: f64 = 50_000.0;

pub(crate) fn bench(form: Form, table: &mut Table) {
    let arya = Arya::start(&["--load", "20"]);
    let deployment = arya.deploy(&arya.spec("bench", "canary", 20.0));
    deployment.wait_phase("serving", SERVING_MAX);
    let id = &deployment.id;
    let pages = [
        ("home", "/".to_owned()),
        ("new", "/new".to_owned()),
        ("connect", "/connect".to_owned()),
        ("deployment", format!("/deployments/{id}")),
        ("destroy", format!("/deployments/{id}/destroy")),
        ("report", format!("/deployments/{id}/report")),
    ];
    let origin = arya.origin();
    let host = origin.trim_start_matches("http://");
    let mut connection = Connection::open(host.parse().unwrap());
    let login = format!("Authorization: Bearer {}\r\n", arya.token());
    for (name, path) in pages {
        let request = get(&path, host, &login);
        let mut bytes = 0;
        let micros = (0..form.choose(50, 500)).map(|_| {
            let begun = Instant::now();
            bytes = connection.ask(&request).len();
            begun.elapsed().as_secs_f64() * 1e6
        });
        let micros = median(micros);
        table.at_most(
            &format!("page {name}"),
            PAGE_MICROS_MAX,
            micros,
            " µs",
            &format!("{bytes} bytes"),
        );
    }
}
