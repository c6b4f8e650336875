//! What `arya judge` reads: a canary configuration and its data, with a zero byte between them.

use arya_judge::kayenta::document::DataDocument;
use arya_judge::kayenta::{CanaryConfig, judge};
use serde_json::Value;

pub(crate) fn run(bytes: &[u8]) {
    let Some(at) = bytes.iter().position(|&byte| byte == 0) else {
        return;
    };
    let config = serde_json::from_slice::<CanaryConfig>(&bytes[..at]);
    let data = serde_json::from_slice::<DataDocument>(&bytes[at + 1..]);
    let (Ok(config), Ok(data)) = (config, data) else {
        return;
    };
    let Ok(thresholds) = data.thresholds() else { return };
    match data.pairs().and_then(|pairs| judge(&config, &pairs, thresholds)) {
        Err(abort) => assert!(!abort.to_string().is_empty()),
        Ok(judgement) => {
            let written = serde_json::to_string(&judgement.answer()).expect("an answer can be written as JSON");
            let read: Value = serde_json::from_str(&written).expect("what was written is JSON");
            assert!(read["judgeResult"].is_object(), "{written}");
        }
    }
}

/// A configuration with everything in it.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const CONFIG: &str = r#"{"name":"c","judge":{"name":"NetflixACAJudge-v1.0","judgeConfigurations":{}},"metrics":[
        {"name":"m","groups":["g"],"scopeName":"default","query":{"type":"prometheus"},"analysisConfigurations":{"canary":
        {"direction":"increase","critical":true,"mustHaveData":true,"nanStrategy":"replace","outliers":{"strategy":"remove",
        "outlierFactor":3.0},"effectSize":{"allowedIncrease":1.1,"criticalIncrease":1.5,"measure":"meanRatio"}}}},
        {"name":"n","groups":["h"],"analysisConfigurations":{"canary":{"direction":"either","muted":true,
        "effectSize":{"measure":"cles","allowedIncrease":0.6,"allowedDecrease":0.4}}}}],
        "classifier":{"groupWeights":{"g":60,"h":40}}}"#;
    let data = [
        r#"{"metrics":[{"name":"m","controlValues":[1,2,3,4,5,6],"experimentValues":[2,3,null,"Infinity",9,9.5]},
            {"name":"n","tags":{"a":"b"},"controlValues":[0,0,0],"experimentValues":[0,0,1e300]}],
            "thresholds":{"pass":95,"marginal":75}}"#,
        r#"{"metrics":[{"name":"m","controlValues":[],"experimentValues":[]},{"name":"n","controlValues":["-Infinity",1],
            "experimentValues":[1,1]}],"thresholds":{"pass":1,"marginal":0}}"#,
        r#"{"metrics":[],"thresholds":{"pass":95,"marginal":75}}"#,
    ];
    data.map(|data| [CONFIG.as_bytes(), &[0], data.as_bytes()].concat())
        .to_vec()
}
