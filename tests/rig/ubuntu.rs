//! The other system that is set up. Its userland comes from its own mirror, and nothing is run where that cannot be reached.

use std::time::Duration;

use arya_plan::observed::BootPhase;

use crate::deployed::{Order, PORT};
use crate::machine::{Image, Machine};

/// Its mirror is further away than Debian's.
const READY_WITHIN: Duration = Duration::from_secs(240);

#[test]
fn ubuntu_sets_itself_up_and_comes_back_after_a_reboot() {
    if !Image::Ubuntu.is_there() {
        eprintln!("Ubuntu was not run: `cargo xtask rig-all` could not make its image");
        return;
    }
    let order = Order::new();
    order.upload_image();
    let machine = Machine::launch(Image::Ubuntu, &order.user_data());
    let (at, report) = order.wait_for(BootPhase::Ready, READY_WITHIN);
    let took = (at - machine.started).as_secs_f64();
    eprintln!("Ubuntu: docker run to ready {took:.1} s; {}", report["timeline"]);
    let asked = format!("curl --fail --silent http://127.0.0.1:{PORT}/health http://127.0.0.1:9100/metrics");
    assert!(machine.run(&asked).contains("node_cpu_seconds_total"));
    machine.reboot();
    order.wait_for_again(BootPhase::Ready, 2, READY_WITHIN);
    machine.run(&asked);
}
