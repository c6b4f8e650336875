//! Requests that turn their connection to another protocol, e.g. WebSocket: after the target's 101 bytes are copied both
//! ways until one side ends, nothing moves for the idle timeout, or the balancer shuts down.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use super::Shared;
use super::body::{ReplyBody, RequestBody};
use super::client::Client;
use super::exchange::Exchange;
use super::proxy::{blame, open, towards_client, unless_late};
use super::replies::Refusal;
use super::target::InFlight;

pub(super) async fn pass_upgrade(
    shared: &Arc<Shared>,
    client: &Arc<Client>,
    entered: InFlight,
    mut request: Request<Incoming>,
    mut exchange: Exchange,
) -> Response<ReplyBody> {
    let endpoint = Arc::clone(entered.endpoint());
    let while_open = endpoint.enter();
    exchange.set_target(entered);
    let is_head = *request.method() == Method::HEAD;
    let client_side = hyper::upgrade::on(&mut request);
    let request = request.map(|body| RequestBody::new(body, Arc::clone(client)));
    let asking = async {
        let (mut sender, driver, head) = open(shared, &endpoint).await?.into_parts();
        // Its end is seen at the other half; an error here has nobody else to tell.
        tokio::spawn(driver.with_upgrades());
        let answered = sender.send_request(request).await;
        head.is_over();
        answered.map_err(|_| Refusal::TargetBroke)
    };
    let mut response = match unless_late(client, asking).await {
        Ok(response) => response,
        Err(refusal) => return blame(client, refusal, exchange),
    };
    let target_side = hyper::upgrade::on(&mut response);
    let (mut parts, body) = response.into_parts();
    let protocol = parts.headers.get(header::UPGRADE).cloned();
    towards_client(&mut parts.headers, is_head);
    parts.version = Version::HTTP_11;
    exchange.answered(parts.status, &parts.headers, true);
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        parts
            .headers
            .insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
        if let Some(protocol) = protocol {
            parts.headers.insert(header::UPGRADE, protocol);
        }
        let (closing, client) = (shared.closing.clone(), Arc::clone(client));
        let both_ways = async move {
            let (Ok(client_side), Ok(target_side)) = (client_side.await, target_side.await) else {
                return;
            };
            let (mut client_side, mut target_side) = (TokioIo::new(client_side), TokioIo::new(target_side));
            tokio::select! {
                // How it ended is the two sides' business; both are closed now.
                _ = tokio::io::copy_bidirectional(&mut client_side, &mut target_side) => {}
                () = quiet(&client) => {}
            }
        };
        shared.clients.spawn(async move {
            // Counts as in flight at its target for as long as it is open.
            let _while_open = while_open;
            closing.run_until_cancelled_owned(both_ways).await;
        });
    }
    Response::from_parts(parts, ReplyBody::of_target(body, None, exchange))
}

/// Returns once the client's connection has been quiet for too long.
async fn quiet(client: &Client) {
    loop {
        let deadline = client.deadline();
        tokio::time::sleep_until(deadline).await;
        if client.deadline() <= tokio::time::Instant::now() {
            return;
        }
    }
}
