//! Asks targets whether they are well: one task for each group that a rule names, a new connection for each check.
//!
//! Decides nothing: what an answer means is in [`super::alb`], what follows from it in [`super::control`].

use std::pin::pin;
use std::sync::Arc;

use arya_plan::listener::GroupId;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{Request, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::alb::{CheckResult, HealthCheckSettings};
use super::control::{Control, Which};
use super::settings::Target;

const USER_AGENT: &str = "ELB-HealthChecker/2.0";

/// Checks a group at once and then every interval, without jitter; `look_now` brings a check of new targets forward.
/// Runs until it is aborted, or its group is gone.
pub(super) async fn keep_checking(
    control: Arc<Control>,
    group: GroupId,
    settings: HealthCheckSettings,
    look_now: Arc<Notify>,
) {
    // Zero would panic, and would be no interval.
    let mut ticks = interval(settings.interval.max(std::time::Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let which = tokio::select! {
            _ = ticks.tick() => Which::All,
            () = look_now.notified() => Which::New,
        };
        let Some(endpoints) = control.to_check(&group, which) else {
            return;
        };
        let settings = &settings;
        let checks = endpoints.into_iter().map(|endpoint| async move {
            let result = check(&endpoint.target, settings).await;
            (endpoint, result)
        });
        let mut checks: FuturesUnordered<_> = checks.collect();
        while let Some((endpoint, result)) = checks.next().await {
            control.checked(&group, &endpoint, &result, settings);
        }
    }
}

async fn check(target: &Target, settings: &HealthCheckSettings) -> CheckResult {
    match timeout(settings.timeout, ask(target, &settings.path)).await {
        Ok(Some(status)) => CheckResult::Status(status),
        Ok(None) => CheckResult::Failed,
        Err(_) => CheckResult::TimedOut,
    }
}

/// The status of a GET; `None` without a connection or an HTTP answer. Redirects are not followed.
async fn ask(target: &Target, path: &str) -> Option<u16> {
    let request = Request::get(path)
        .header(header::HOST, target.address.to_string())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let stream = TcpStream::connect(target.address).await.ok()?;
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let mut answer = pin!(sender.send_request(request));
    let answered = tokio::select! {
        biased;
        answered = &mut answer => answered,
        _ = driver => answer.await,
    };
    answered.ok().map(|response| response.status().as_u16())
}
