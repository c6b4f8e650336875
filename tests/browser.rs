//! The main job as a newcomer does it: in a real browser, by the buttons that are there. Its pictures are the README's.
//!
//! Drives headless Chromium through chromedriver. `ARYA_SCREENSHOTS` names a folder to keep the pictures in.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::json;
use tests::Arya;

const PAGE_MAX: Duration = Duration::from_secs(10);
const SERVING_MAX: Duration = Duration::from_secs(20);
const HARMFUL_MAX: Duration = Duration::from_secs(90);
const DESTROYED_MAX: Duration = Duration::from_secs(20);

/// A chromedriver of our own on a free port. Ends with the value.
struct Driver {
    child: Child,
    port: u16,
    _profile: tempfile::TempDir,
}

impl Driver {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver is on the PATH; `cargo xtask test` says how to get it");
        Self {
            child,
            port,
            _profile: tempfile::tempdir().unwrap(),
        }
    }

    /// A browser window of that size; looks until the driver answers.
    async fn window(&self, width: u32, height: u32, dark: bool) -> Client {
        let mut args = vec![
            "--headless".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-quic".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            "--hide-scrollbars".into(),
            format!("--window-size={width},{height}"),
            format!(
                "--user-data-dir={}",
                self._profile.path().join(format!("{width}-{dark}")).display()
            ),
        ];
        if dark {
            args.push("--blink-settings=preferredColorScheme=0".into());
        }
        let capabilities = json!({"browserName": "chrome", "goog:chromeOptions": {"args": args}});
        let begun = Instant::now();
        loop {
            let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
            builder.capabilities(capabilities.as_object().unwrap().clone());
            match builder.connect(&format!("http://127.0.0.1:{}", self.port)).await {
                Ok(client) => return client,
                Err(error) => assert!(begun.elapsed() < PAGE_MAX, "no browser: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The whole group: a browser outlives its driver when a test fails in the middle.
        let _ = Command::new("kill")
            .args(["-KILL", "--", &format!("-{}", self.child.id())])
            .status();
        let _ = self.child.wait();
    }
}

/// Looks at an element's text until it has the words.
async fn wait_for(browser: &Client, css: &str, words: &str, limit: Duration) -> Duration {
    let begun = Instant::now();
    let mut last = String::new();
    while begun.elapsed() < limit {
        // Parts of a page are replaced while it lives, so an element may vanish between finding and reading it.
        if let Ok(element) = browser.find(Locator::Css(css)).await
            && let Ok(text) = element.text().await
        {
            if text.to_lowercase().contains(&words.to_lowercase()) {
                return begun.elapsed();
            }
            last = text;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    picture(browser, "failure").await;
    panic!("{css} does not say {words:?} within {limit:?}, but {last:?}");
}

async fn press(browser: &Client, words: &str) {
    let path = format!("//*[self::button or self::a][contains(normalize-space(.), \"{words}\")]");
    let element = match browser
        .wait()
        .at_most(PAGE_MAX)
        .for_element(Locator::XPath(&path))
        .await
    {
        Ok(element) => element,
        Err(error) => {
            picture(browser, "failure").await;
            panic!("no button or link says {words:?}: {error}");
        }
    };
    element.click().await.unwrap();
}

async fn type_into(browser: &Client, css: &str, text: &str) {
    let field = browser.find(Locator::Css(css)).await.unwrap();
    field.clear().await.unwrap();
    field.send_keys(text).await.unwrap();
}

/// Keeps a picture of the whole page, where a folder for pictures is given.
async fn picture(browser: &Client, name: &str) {
    let Some(folder) = std::env::var_os("ARYA_SCREENSHOTS").map(PathBuf::from) else {
        return;
    };
    std::fs::write(folder.join(format!("{name}.png")), browser.screenshot().await.unwrap()).unwrap();
}

/// What every page must hold to, whatever it shows.
async fn fits(browser: &Client, page: &str) {
    let wider = browser
        .execute(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth",
            vec![],
        )
        .await
        .unwrap();
    assert!(wider.as_i64().unwrap() <= 0, "{page} scrolls sideways by {wider} px");
    let script = "return performance.getEntriesByType('resource').map(e => new URL(e.name).host).filter(h => h !== location.host)";
    let strangers = browser.execute(script, vec![]).await.unwrap();
    assert_eq!(strangers, json!([]), "{page} asked another host");
    let nameless = "return [...document.querySelectorAll('button, a, input:not([type=hidden]), select, textarea')]\
                    .filter(e => e.offsetParent && !(e.textContent || '').trim() && !e.getAttribute('aria-label') \
                    && !(e.labels && e.labels.length)).map(e => e.outerHTML)";
    let nameless = browser.execute(nameless, vec![]).await.unwrap();
    assert_eq!(nameless, json!([]), "{page} has controls without a name");
}

async fn log_in(browser: &Client, arya: &Arya) {
    browser.goto(arya.ready["login"].as_str().unwrap()).await.unwrap();
    press(browser, "Log in").await;
    wait_for(browser, "h1", "live", PAGE_MAX).await;
}

#[tokio::test]
async fn a_newcomer_sees_a_bad_canary_caught_and_production_restored() {
    let (mut arya, driver) = (Arya::start(&[]), Driver::start());
    let browser = driver.window(1280, 1500, false).await;
    log_in(&browser, &arya).await;
    fits(&browser, "home").await;
    picture(&browser, "home-empty").await;
    press(&browser, "Start the demo").await;
    wait_for(&browser, "#phase", "serving", SERVING_MAX).await;
    let took = wait_for(&browser, "#verdict", "harmful", HARMFUL_MAX).await;
    println!("harmful on the page {took:?} after serving");
    wait_for(&browser, "#phase", "held", PAGE_MAX).await;
    fits(&browser, "deployment").await;
    picture(&browser, "deployment-harmful").await;
    looked_at_closer(&browser).await;
    judged_again(&browser, &arya).await;
    browser.goto(&arya.origin()).await.unwrap();
    fits(&browser, "home with a deployment").await;
    picture(&browser, "home").await;
    browser.back().await.unwrap();
    press(&browser, "Destroy").await;
    fits(&browser, "destroy").await;
    picture(&browser, "destroy").await;
    press(&browser, "Destroy now").await;
    wait_for(&browser, "#progress", "exactly as before", DESTROYED_MAX).await;
    fits(&browser, "destroyed").await;
    picture(&browser, "destroyed").await;
    press(&browser, "Report").await;
    wait_for(&browser, "body", "harmful", PAGE_MAX).await;
    picture(&browser, "report").await;
    browser.goto(&arya.origin()).await.unwrap();
    press(&browser, "Start the demo").await;
    wait_for(&browser, "#phase", "serving", SERVING_MAX).await;
    // A page that cannot be kept up to date says so where people look.
    arya.kill();
    wait_for(&browser, ".away", "does not answer", PAGE_MAX).await;
    browser.close().await.unwrap();
}

/// The worst metric's course, with an address of its own, which outlives a reload.
async fn looked_at_closer(browser: &Client) {
    let page = browser.current_url().await.unwrap();
    press(browser, "Over time, both arms").await;
    wait_for(browser, ".drawer", "exact query", PAGE_MAX).await;
    let closer = browser.current_url().await.unwrap();
    assert!(
        closer.query().is_some_and(|query| query.starts_with("metric=")),
        "{closer}"
    );
    browser.refresh().await.unwrap();
    wait_for(browser, ".drawer", "exact query", PAGE_MAX).await;
    // The confidence sequence needs two spans of 15 s, and this canary is caught sooner.
    for css in [".drawer .lines .arm.baseline", ".strip .equal"] {
        let found = browser.find(Locator::Css(css)).await;
        assert!(found.is_ok(), "there is no {css} in {closer}");
    }
    fits(browser, "a metric looked at closer").await;
    picture(browser, "deployment-closer").await;
    browser.goto(page.as_str()).await.unwrap();
}

/// The caught canary in the lab: without the metrics that caught it nothing would have been said.
async fn judged_again(browser: &Client, arya: &Arya) {
    let page = browser.current_url().await.unwrap();
    browser.goto(&format!("{}/lab", arya.origin())).await.unwrap();
    wait_for(browser, "#lab-form", "error share", PAGE_MAX).await;
    fits(browser, "lab").await;
    type_into(browser, "#alpha_fail", "many").await;
    press(browser, "Judge again").await;
    wait_for(browser, "#error-alpha_fail", "is no number", PAGE_MAX).await;
    type_into(browser, "#alpha_fail", "").await;
    let uses = browser.find_all(Locator::Css("select[name=use]")).await.unwrap();
    for select in uses {
        select.select_by_value("off").await.unwrap();
    }
    press(browser, "Judge again").await;
    wait_for(browser, "#result", "another one", PAGE_MAX).await;
    fits(browser, "lab, judged").await;
    picture(browser, "lab").await;
    browser.goto(page.as_str()).await.unwrap();
}

#[tokio::test]
async fn a_canary_is_configured_planned_deployed_adjusted_and_destroyed_by_hand() {
    let (arya, driver) = (Arya::start(&[]), Driver::start());
    let browser = driver.window(1280, 2400, false).await;
    log_in(&browser, &arya).await;
    press(&browser, "New canary").await;
    press(&browser, "Use the bundled sample: a healthy canary").await;
    wait_for(&browser, "#new-form", "charthealth/records", PAGE_MAX).await;
    type_into(&browser, "#name", "by hand").await;
    let no = browser
        .find(Locator::Css("input[name=sticky][value=off]"))
        .await
        .unwrap();
    no.click().await.unwrap();
    wait_for(&browser, "#plan", "main rule", PAGE_MAX).await;
    // The plan follows the form: a wrong port is said at once, and no longer once it is corrected.
    type_into(&browser, "[name='app.port']", "9999").await;
    wait_for(&browser, "#plan", "9999", PAGE_MAX).await;
    type_into(&browser, "[name='app.port']", "8080").await;
    wait_for(&browser, "#plan", "Ready", PAGE_MAX).await;
    fits(&browser, "new canary").await;
    picture(&browser, "new").await;
    press(&browser, "Start canary").await;
    wait_for(&browser, "#phase", "serving", SERVING_MAX).await;
    picture(&browser, "deployment-serving").await;
    type_into(&browser, "input[name=canary_percent]", "25").await;
    press(&browser, "Set share").await;
    wait_for(&browser, "#feed", "25 %", PAGE_MAX).await;
    press(&browser, "Destroy").await;
    press(&browser, "Destroy now").await;
    wait_for(&browser, "#progress", "exactly as before", DESTROYED_MAX).await;
    browser.close().await.unwrap();
}

#[tokio::test]
async fn pages_fit_a_phone_in_the_dark_and_are_readable_without_script() {
    let (arya, driver) = (Arya::start(&[]), Driver::start());
    let deployment = arya.deploy(&arya.spec("phone", "canary", 20.0));
    deployment.wait_phase("serving", SERVING_MAX);
    let phone = driver.window(500, 2600, true).await;
    // Chromium's window is at least 500 px wide; the phone's width is set by the emulated device.
    let metrics = json!({"width": 360, "height": 2600, "deviceScaleFactor": 1, "mobile": true});
    log_in(&phone, &arya).await;
    emulate(&phone, &driver, metrics).await;
    for (page, path) in [
        ("home", String::new()),
        ("new", "/new".into()),
        ("deployment", format!("/deployments/{}", deployment.id)),
        (
            "deployment-closer",
            format!("/deployments/{}?metric=error+share", deployment.id),
        ),
        ("lab", "/lab".into()),
    ] {
        phone.goto(&format!("{}{path}", arya.origin())).await.unwrap();
        wait_for(&phone, "main", "", PAGE_MAX).await;
        fits(&phone, &format!("{page} at 360 px")).await;
        picture(&phone, &format!("{page}-phone-dark")).await;
    }
    phone.close().await.unwrap();
    deployment.destroy_and_prove(DESTROYED_MAX);
}

/// Sets a device's size through chromedriver's own command.
async fn emulate(browser: &Client, driver: &Driver, metrics: serde_json::Value) {
    let session = browser.session_id().await.unwrap().unwrap();
    let url = format!("http://127.0.0.1:{}/session/{session}/goog/cdp/execute", driver.port);
    let body = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics});
    tokio::task::spawn_blocking(move || ureq::post(url).send_json(body).unwrap())
        .await
        .unwrap();
}
