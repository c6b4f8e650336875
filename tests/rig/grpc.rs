//! An app that speaks gRPC and nothing else: asked as the load balancer asks it, and warmed up.

use std::time::Duration;

use arya_plan::listener::Protocol;
use arya_plan::observed::BootPhase;

use crate::deployed::Order;
use crate::machine::{Image, Machine};
use crate::sample;

const SOON: Duration = Duration::from_secs(90);
/// Longer than the machine needs from the app's start to its first question.
const NOT_SERVING: &str = "NOT_SERVING_MS=6000";

/// An order for an app that speaks gRPC, whose health is asked by this method.
fn speaking_grpc(method: &str) -> Order {
    let mut order = Order::new();
    let program = env!("CARGO_BIN_EXE_grpc-app").into();
    let image = sample::packed(program, &["/grpc-app"], "1.0", &[NOT_SERVING]);
    order.bucket.store("image", image.clone());
    order.settings.image = Some(order.bucket.object("image", &image).into());
    order.settings.app.protocol = Protocol::Grpc;
    order.settings.app.health_check_path = method.into();
    order.settings.app.warm_up.paths = vec![method.into()];
    order
}

#[test]
fn grpc_is_asked_for_its_health_until_it_serves() {
    let order = speaking_grpc("/grpc.health.v1.Health/Check");
    let machine = Machine::launch(Image::Prepared, &order.user_data());
    let (_, report) = order.wait_for(BootPhase::Ready, SOON);
    let after = |phase: &str| {
        let timeline = report["timeline"].as_array().unwrap();
        let reached = timeline.iter().find(|step| step["phase"] == phase).unwrap();
        reached["after_s"].as_f64().unwrap()
    };
    // An answer that says `NOT_SERVING` is an answer, and no health.
    assert!(after("up") - after("loaded") >= 6.0, "{}", report["timeline"]);
    assert_eq!(machine.run("cat /run/arya/grpc"), "\0\0\0\0\u{2}\u{8}\u{1}");
}

#[test]
fn grpc_without_the_method_is_told_with_its_status() {
    let order = speaking_grpc("/shop.Basket/Check");
    let _machine = Machine::launch(Image::Prepared, &order.user_data());
    let (_, report) = order.wait_for(BootPhase::Failed, SOON);
    let expected =
        "The health path /shop.Basket/Check did not answer 200 within 20 s; last it answered grpc-status:12.";
    let tail = report["tail"].as_str().unwrap();
    assert!(tail.starts_with(expected), "{tail}");
}
