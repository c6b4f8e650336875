use serde_json::{Value, json};

use super::*;
use crate::Reading;
use crate::source::Origin;

const SCRAPE_S: f64 = 5.0;
/// The beginning of a part, whose place is the ring's first.
const BEGAN_S: i64 = 1_794_999_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGAN_S + second).unwrap()
}

/// Requests of both arms, and whether they answered; scraped at moments that differ by arm and never fall on a second.
fn scraped(until: i64) -> Vec<Series> {
    let one = |name: &str, arm: &str, late_ms: i64, value: fn(i64) -> f64| Series {
        name: name.into(),
        labels: [("arm", arm), ("instance", arm), ("job", "app"), ("code", "500")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        readings: (0..until / 5)
            .map(|scrape| Reading {
                at: Timestamp::from_millisecond((BEGAN_S + scrape * 5) * 1000 + late_ms).unwrap(),
                value: value(scrape),
            })
            .collect(),
        histograms: Vec::new(),
    };
    vec![
        one("up", "baseline", 1300, |_| 1.0),
        one("up", "canary", 2700, |_| 1.0),
        one("http_requests_total", "baseline", 1300, |scrape| (scrape * 3) as f64),
        one("http_requests_total", "canary", 2700, |scrape| {
            (scrape * 3 + scrape / 7) as f64
        }),
    ]
}

/// What Prometheus would answer to a range that ends at a moment, of what it has stored by then: a scrape takes a second.
fn answered(series: &[Series], from_ms: i64, to_ms: i64) -> Value {
    let stored = |reading: &&Reading| {
        let at = reading.at.as_millisecond();
        from_ms <= at && at <= to_ms && at + 1000 <= to_ms
    };
    let matrix = series.iter().map(|one| {
        let mut metric: BTreeMap<&str, &str> = one.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        metric.insert("__name__", &one.name);
        let values = one.readings.iter().filter(stored);
        let values: Vec<Value> = values
            .map(|reading| json!([reading.at.as_millisecond() as f64 / 1000.0, reading.value.to_string()]))
            .collect();
        json!({"metric": metric, "values": values})
    });
    json!({"status": "success", "data": {"resultType": "matrix", "result": matrix.collect::<Vec<_>>()}})
}

/// A part as the monitor writes it at a moment, in seconds after the beginning.
fn part(series: &[Series], number: i64, to: i64) -> Part {
    let from = number * PART_S;
    let answer = answered(series, (from - OVERLAP_S) * 1000, (BEGAN_S + to) * 1000);
    Part::read(
        json!({"from": from, "to": BEGAN_S + to, "answer": answer})
            .to_string()
            .as_bytes(),
    )
    .unwrap()
}

/// What lies in the bucket at a moment, where the monitor writes every ten seconds: the part of now, and whole ones.
fn read_all(posted: &mut Posted, series: &[Series], from: i64, now: i64) {
    let written = now - now % 10;
    for number in posted.due(at(from), at(now)) {
        let began = number * PART_S - BEGAN_S;
        let to = written.min(began + PART_S);
        let found = (began <= written).then(|| part(series, number, to));
        posted.take(number, at(now), Ok(found));
    }
}

fn failures() -> (MetricConfig, Watched) {
    let watched = Watched::Share {
        events: r#"http_requests_total{code=~"5.."}"#.parse().unwrap(),
        of: "http_requests_total".parse().unwrap(),
    };
    let metric = MetricConfig {
        from: Origin::Series(watched.clone()),
        ..MetricConfig::error_share("error share", "")
    };
    (metric, watched)
}

#[test]
fn blocks_are_those_that_the_monitor_itself_would_give() {
    let (metric, watched) = failures();
    let all = scraped(1500);
    let (mut posted, mut start, mut through) = (Posted::default(), at(120), Vec::new());
    for now in (130..1400).step_by(7) {
        read_all(&mut posted, &all, start.as_second() - BEGAN_S, now);
        let found = posted.blocks(&metric, &watched, &(start..=at(now)), SCRAPE_S);
        let found = found.unwrap();
        // Windows of the engine begin with the last block's end.
        start = found.last().map_or(start, Block::ends_at);
        assert!(start <= at(now));
        through.extend(found);
    }
    let directly = blocks(&metric, &watched, &all, &(at(120)..=at(1400)), SCRAPE_S).unwrap();
    assert!(through.len() > 240, "{}", through.len());
    assert_eq!(through, directly[..through.len()]);
}

#[test]
fn a_reader_that_was_away_for_most_of_an_hour_loses_nothing() {
    let (metric, watched) = failures();
    let all = scraped(3600);
    let mut posted = Posted::default();
    read_all(&mut posted, &all, 60, 3300);
    let found = posted
        .blocks(&metric, &watched, &(at(60)..=at(3300)), SCRAPE_S)
        .unwrap();
    let directly = blocks(&metric, &watched, &all, &(at(60)..=at(3300)), SCRAPE_S).unwrap();
    assert_eq!(found, directly[..found.len()]);
    assert!(
        directly.len() - found.len() <= 1,
        "{} of {}",
        found.len(),
        directly.len()
    );
}

#[test]
fn a_hole_is_not_filled() {
    let (metric, watched) = failures();
    let all = scraped(1500);
    let mut posted = Posted::default();
    let first = number_of(at(0));
    for number in [first, first + 1, first + 3] {
        let to = (number + 1) * PART_S - BEGAN_S;
        posted.take(number, at(1200), Ok(Some(part(&all, number, to))));
    }
    let found = posted
        .blocks(&metric, &watched, &(at(60)..=at(1200)), SCRAPE_S)
        .unwrap();
    let hole = found
        .iter()
        .filter(|block| (at(610)..at(870)).contains(&block.ends_at()));
    assert_eq!(hole.count(), 0);
    assert!(
        found.iter().any(|block| block.ends_at() > at(900)),
        "it goes on afterwards"
    );
}

#[test]
fn parts_are_looked_for_until_they_are_whole() {
    let all = scraped(900);
    let mut posted = Posted::default();
    let first = number_of(at(0));
    assert_eq!(posted.due(at(290), at(310)), [first, first + 1]);
    assert_eq!(
        posted.due(at(310), at(310)),
        [first, first + 1],
        "what was scraped before"
    );
    posted.take(first, at(310), Ok(Some(part(&all, first, 300))));
    posted.take(first + 1, at(310), Ok(Some(part(&all, first + 1, 310))));
    assert_eq!(posted.due(at(290), at(312)), [0_i64; 0], "a look has several questions");
    assert_eq!(posted.due(at(290), at(316)), [first + 1]);
    assert_eq!(
        posted.due(at(290), at(200)).len(),
        0,
        "a clock that was set back has the whole one"
    );
    // One that did not come is looked for more seldom once it is old.
    posted.take(first + 2, at(620), Ok(None));
    assert_eq!(posted.due(at(610), at(630)), [first + 1, first + 2]);
    posted.take(first + 2, at(1200), Ok(None));
    assert!(!posted.due(at(610), at(1230)).contains(&(first + 2)));
    assert!(posted.due(at(610), at(1260)).contains(&(first + 2)));
    let hour = posted.due(at(0), at(5000));
    assert!(hour.len() <= PLACES, "{hour:?}");
}

#[test]
fn what_an_earlier_hour_left_in_a_place_is_nothing() {
    let (metric, watched) = failures();
    let all = scraped(300);
    let (mut posted, first) = (Posted::default(), number_of(at(0)));
    let later = first + PLACES as i64;
    assert_eq!(place_of(first), place_of(later));
    posted.take(later, at(3700), Ok(Some(part(&all, first, 300))));
    let refused = posted
        .blocks(&metric, &watched, &(at(3600)..=at(3700)), SCRAPE_S)
        .unwrap_err();
    assert!(refused.to_string().contains("nothing into the bucket yet"), "{refused}");
}

#[test]
fn whoever_is_silent_is_no_evidence_and_says_since_when() {
    let (metric, watched) = failures();
    let all = scraped(300);
    let mut posted = Posted::default();
    let number = number_of(at(0));
    posted.take(number, at(200), Ok(Some(part(&all, number, 200))));
    let ask = |posted: &Posted, from, to| posted.blocks(&metric, &watched, &(at(from)..=at(to)), SCRAPE_S);
    assert!(!ask(&posted, 60, 200).unwrap().is_empty());
    assert!(ask(&posted, 198, 230).unwrap().is_empty(), "it may come yet");
    // What is there is given, however late.
    assert!(!ask(&posted, 60, 290).unwrap().is_empty());
    let silent = ask(&posted, 198, 290).unwrap_err().to_string();
    assert!(silent.contains("nothing into the bucket since 2026-11-18T"), "{silent}");
    let shown = posted.label_sets(at(0), at(290)).unwrap();
    assert_eq!(shown.len(), 4);
    assert!(posted.label_sets(at(250), at(290)).is_err());
    let gone = SourceError::Unreachable { what: "gone".into() };
    posted.take(number, at(290), Err(gone.clone()));
    assert_eq!(ask(&posted, 198, 290), Err(gone));
    assert!(
        !ask(&posted, 60, 290).unwrap().is_empty(),
        "what was read before is known"
    );
    posted.take(number, at(296), Ok(Some(part(&all, number, 290))));
    assert!(ask(&posted, 288, 296).unwrap().is_empty(), "it is there again");
}

#[test]
fn what_no_monitor_writes_is_refused_in_a_sentence() {
    let check = |text: &str, why: &str| {
        let said = Part::read(text.as_bytes()).unwrap_err().to_string();
        assert!(said.contains(why) && said.len() < 400 && !said.contains('\n'), "{said}");
    };
    let good = |from: i64, to: i64| {
        let answer = answered(&scraped(60), BEGAN_S * 1000, (BEGAN_S + 60) * 1000);
        json!({"from": from, "to": to, "answer": answer})
    };
    assert!(Part::read(good(BEGAN_S, BEGAN_S + 60).to_string().as_bytes()).is_ok());
    check("", "breaks");
    check("<Error><Code>AccessDenied</Code></Error>", "breaks");
    check(&good(BEGAN_S, BEGAN_S + 60).to_string()[..90], "breaks");
    check(&good(BEGAN_S + 1, BEGAN_S + 60).to_string(), "no part");
    check(&good(BEGAN_S, BEGAN_S - 1).to_string(), "no part");
    check(&good(BEGAN_S, BEGAN_S + 301).to_string(), "no part");
    check(
        &json!({"from": BEGAN_S, "to": BEGAN_S}).to_string(),
        "no answer, or two",
    );
    check(&" ".repeat(UNPACKED_BYTES_MAX + 1), "longer than");
    check(&json!({"from": i64::MIN, "to": i64::MAX}).to_string(), "no part");
    let left_out = |why: &str| {
        let document = json!({"from": BEGAN_S, "to": BEGAN_S + 60, "left_out": why}).to_string();
        Part::read(document.as_bytes()).map(|part| part.series.unwrap_err().to_string())
    };
    assert!(left_out("too_long").unwrap().contains("longer than 16 MB"));
    assert!(left_out("no_answer").unwrap().contains("did not answer"));
    assert!(left_out("mood").is_err());
}

/// Whoever has the URLs of a ring may fill all of it.
#[test]
fn what_is_kept_of_a_ring_has_a_limit_and_the_newest_stays() {
    let heavy = |number: i64| {
        let reading = Reading {
            at: Timestamp::from_second(number * PART_S).unwrap(),
            value: 1.0,
        };
        let one = Series {
            name: "x".into(),
            readings: vec![reading; KEPT_BYTES_MAX / size_of::<Reading>() / 3],
            ..Series::default()
        };
        let to = Timestamp::from_second((number + 1) * PART_S).unwrap();
        Part {
            number,
            to,
            series: Ok(vec![one]),
        }
    };
    let (mut posted, first) = (Posted::default(), number_of(at(0)));
    for number in [first + 4, first + 3, first + 2, first + 1] {
        posted.take(number, at(1500), Ok(Some(heavy(number))));
    }
    assert_eq!(posted.parts.keys().copied().collect::<Vec<_>>(), [first + 3, first + 4]);
    let mut too_heavy = heavy(first + 5);
    let series = too_heavy.series.as_mut().unwrap();
    *series = [series.clone(), series.clone(), series.clone(), series.clone()].concat();
    posted.take(first + 5, at(1600), Ok(Some(too_heavy)));
    assert_eq!(posted.parts.keys().copied().collect::<Vec<_>>(), [first + 3, first + 4]);
    assert_eq!(posted.why_silent(at(1600)), Some(too_long()));
}
