//! What Prometheus' HTTP API answers, read with suspicion: series with their samples, as they were scraped.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::SourceError;
use crate::{Reading, Timestamp};

/// Longer answers are not read: it is some 600,000 samples, a hundred times what a look needs.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Series of one answer: a hundred times what a deployment's instances show.
pub const SERIES_MAX: usize = 20_000;
/// Labels of one series; Prometheus' own service discovery makes a dozen.
const LABELS_MAX: usize = 64;
/// What a label and a bucket take beside their text.
const LABEL_BYTES: usize = 96;
/// So much of something that was not expected is shown.
const SHOWN_CHARS: usize = 80;
/// The label that holds a series' name.
pub(super) const NAME: &str = "__name__";

/// One series as it was scraped.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// The metric's name.
    pub name: String,
    /// All other labels.
    pub labels: BTreeMap<String, String>,
    /// Samples, oldest first, one of a time.
    pub readings: Vec<Reading>,
    /// Samples that are native histograms.
    pub histograms: Vec<NativeReading>,
}

/// One sample of a native histogram: everything counted since its process began.
#[derive(Debug, Clone, PartialEq)]
pub struct NativeReading {
    /// When it was scraped.
    pub at: Timestamp,
    /// Observations in all buckets.
    pub count: f64,
    /// Sum of what was observed.
    pub sum: f64,
    /// Lower edge, upper edge and observations of every bucket in use.
    pub buckets: Vec<(f64, f64, f64)>,
}

impl Series {
    /// What it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let labels = self
            .labels
            .iter()
            .map(|(name, value)| LABEL_BYTES + name.len() + value.len());
        let natives = self
            .histograms
            .iter()
            .map(|native| size_of::<NativeReading>() + native.buckets.len() * size_of::<(f64, f64, f64)>());
        let readings = self.readings.len() * size_of::<Reading>();
        size_of::<Self>() + self.name.len() + readings + labels.sum::<usize>() + natives.sum::<usize>()
    }
}

/// Reads the answer to a range selector.
///
/// # Errors
/// When it is no such answer: refused, cut off, HTML, of another shape, or longer than [`ANSWER_BYTES_MAX`].
pub fn series(body: &[u8]) -> Result<Vec<Series>, SourceError> {
    all_of(data(body)?)
}

/// The series of an answer.
pub(super) fn all_of(data: Data<'_>) -> Result<Vec<Series>, SourceError> {
    if data.result_type != "matrix" {
        return Err(malformed(format!(
            "samples were expected, a {} came",
            shown(&data.result_type)
        )));
    }
    let mut all = Vec::with_capacity(data.result.len());
    for one in data.result {
        let mut labels = one.metric;
        if labels.len() > LABELS_MAX {
            return Err(malformed(format!("a series has more than {LABELS_MAX} labels")));
        }
        let mut series = Series {
            name: labels.remove(NAME).unwrap_or_default(),
            labels,
            ..Series::default()
        };
        for (at, value) in one.values {
            series.readings.push(Reading {
                at: time(at)?,
                value: number(&value)?,
            });
        }
        for (at, histogram) in one.histograms {
            series.histograms.push(histogram.at(time(at)?)?);
        }
        all.push(series);
    }
    Ok(merged(all))
}

/// Two lists of one series are one series.
pub(super) fn merged(lists: impl IntoIterator<Item = Series>) -> Vec<Series> {
    let mut known: BTreeMap<(String, BTreeMap<String, String>), Series> = BTreeMap::new();
    for one in lists {
        let entry = known.entry((one.name.clone(), one.labels.clone())).or_default();
        entry.name = one.name;
        entry.labels = one.labels;
        entry.readings.extend(one.readings);
        entry.histograms.extend(one.histograms);
    }
    let mut all: Vec<Series> = known.into_values().collect();
    for one in &mut all {
        tidy(&mut one.readings, |reading| reading.at);
        tidy(&mut one.histograms, |histogram| histogram.at);
    }
    all
}

/// Reads the answer to a question which series there are: their names and labels.
///
/// # Errors
/// As [`series`].
pub fn label_sets(body: &[u8]) -> Result<Vec<BTreeMap<String, String>>, SourceError> {
    data(body)
}

/// The `data` of a good answer.
fn data<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, SourceError> {
    if body.len() > ANSWER_BYTES_MAX {
        return Err(too_long());
    }
    let envelope: Envelope<T> = serde_json::from_slice(body).map_err(|error| {
        let begins = String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN_CHARS)]);
        malformed(format!(
            "an answer of Prometheus was expected; it begins with `{}` and breaks at byte {} ({})",
            shown(&begins),
            error.column(),
            shown(&error.to_string())
        ))
    })?;
    good(envelope)
}

/// What a good answer holds.
pub(super) fn good<T>(envelope: Envelope<'_, T>) -> Result<T, SourceError> {
    match (envelope.status.as_ref(), envelope.data) {
        ("success", Some(data)) => Ok(data),
        ("error", _) => Err(SourceError::Unreachable {
            what: format!(
                "it refused the question: {}",
                shown(envelope.error.as_deref().unwrap_or("without a reason"))
            ),
        }),
        (status, _) => Err(malformed(format!(
            "its status is `{}`, with{} data",
            shown(status),
            if status == "success" { "out" } else { "" }
        ))),
    }
}

/// What is said of an answer that is too long to be read.
pub fn too_long() -> SourceError {
    malformed(format!(
        "the answer is longer than {} MB: far more series than a deployment has",
        ANSWER_BYTES_MAX / (1024 * 1024)
    ))
}

#[derive(Deserialize)]
pub(super) struct Envelope<'b, T> {
    #[serde(borrow)]
    status: Cow<'b, str>,
    data: Option<T>,
    error: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Data<'b> {
    #[serde(rename = "resultType", borrow)]
    result_type: Cow<'b, str>,
    #[serde(borrow, deserialize_with = "no_more_than_may_be")]
    result: Vec<One<'b>>,
}

#[derive(Deserialize)]
struct One<'b> {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(default, borrow)]
    values: Vec<(f64, Text<'b>)>,
    #[serde(default, borrow)]
    histograms: Vec<(f64, Histogram<'b>)>,
}

#[derive(Deserialize)]
struct Histogram<'b> {
    #[serde(borrow)]
    count: Text<'b>,
    #[serde(borrow)]
    sum: Text<'b>,
    /// The rule for the edges, which are taken as (lower, upper], then the edges, then observations.
    #[serde(default, borrow)]
    buckets: Vec<(i64, Text<'b>, Text<'b>, Text<'b>)>,
}

/// A list that is given up once it is longer than it may be: whoever wrote it, what it takes is known beforehand.
fn no_more_than_may_be<'b, T: Deserialize<'b>, D: Deserializer<'b>>(from: D) -> Result<Vec<T>, D::Error> {
    struct Limited<T>(PhantomData<T>);

    impl<'b, T: Deserialize<'b>> Visitor<'b> for Limited<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of series")
        }

        fn visit_seq<A: SeqAccess<'b>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = seq.next_element()? {
                if all.len() == SERIES_MAX {
                    return Err(A::Error::custom(format_args!("more than {SERIES_MAX} series")));
                }
                all.push(one);
            }
            Ok(all)
        }
    }

    from.deserialize_seq(Limited(PhantomData))
}

/// A text that is borrowed where it has no escapes, as numbers have none.
#[derive(Deserialize)]
struct Text<'b>(#[serde(borrow)] Cow<'b, str>);

impl Histogram<'_> {
    fn at(&self, at: Timestamp) -> Result<NativeReading, SourceError> {
        let bucket = |(_, lower, upper, count): &(i64, Text<'_>, Text<'_>, Text<'_>)| {
            Ok((number(lower)?, number(upper)?, number(count)?))
        };
        Ok(NativeReading {
            at,
            count: number(&self.count)?,
            sum: number(&self.sum)?,
            buckets: self.buckets.iter().map(bucket).collect::<Result<_, SourceError>>()?,
        })
    }
}

/// Oldest first; of several samples of one time the last is a correction.
fn tidy<T>(samples: &mut Vec<T>, at: impl Fn(&T) -> Timestamp) {
    samples.sort_by_key(&at);
    samples.dedup_by(|later, kept| {
        let same = at(later) == at(kept);
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
}

/// Whole milliseconds, as scrapes are stamped.
fn time(seconds: f64) -> Result<Timestamp, SourceError> {
    let ms = (seconds * 1000.0).round();
    let time = (ms.abs() < 9e15).then(|| Timestamp::from_millisecond(ms as i64).ok());
    time.flatten()
        .ok_or_else(|| malformed(format!("a sample has the time {seconds:e}")))
}

fn number(text: &Text<'_>) -> Result<f64, SourceError> {
    text.0
        .parse()
        .map_err(|_| malformed(format!("a sample has the value `{}`", shown(&text.0))))
}

pub(super) fn malformed(what: String) -> SourceError {
    SourceError::Malformed { what }
}

/// The beginning of a text from outside, on one line.
pub(super) fn shown(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut beginning: String = plain.clone().take(SHOWN_CHARS).collect();
    if plain.count() > SHOWN_CHARS {
        beginning.push('…');
    }
    beginning.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(result: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}"#)
    }

    #[track_caller]
    fn refused(body: &str, why: &str) {
        let said = series(body.as_bytes()).unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
        assert!(!said.contains('\n') && said.len() < 600, "{said}");
    }

    #[test]
    fn samples_are_read_in_order_and_once() {
        let body = matrix(
            r#"{"metric":{"__name__":"x","a":"b"},"values":[[2.5,"3"],[1,"+Inf"],[2.5,"4e+06"],[3,"NaN"]]},
               {"metric":{"a":"b","__name__":"x"},"values":[[4.0004,"-1"]]}"#,
        );
        let found = series(body.as_bytes()).unwrap();
        assert_eq!((found.len(), found[0].name.as_str()), (1, "x"));
        let times: Vec<i64> = found[0].readings.iter().map(|r| r.at.as_millisecond()).collect();
        assert_eq!(times, [1000, 2500, 3000, 4000]);
        assert_eq!(found[0].readings[1].value, 4e6);
        assert!(found[0].readings[2].value.is_nan());
    }

    #[test]
    fn native_histograms_are_read() {
        let body = matrix(
            r#"{"metric":{"__name__":"h"},"histograms":[[1,{"count":"5","sum":"2.5","buckets":[[3,"-0.001","0.001","1"],[0,"0.5","1","4"]]}]]}"#,
        );
        let found = series(body.as_bytes()).unwrap();
        let native = &found[0].histograms[0];
        assert_eq!((native.count, native.sum), (5.0, 2.5));
        assert_eq!(native.buckets, [(-0.001, 0.001, 1.0), (0.5, 1.0, 4.0)]);
    }

    #[test]
    fn whatever_else_comes_is_refused_in_a_sentence() {
        refused("", "begins with ``");
        refused("<!DOCTYPE html>\n<html>", "begins with `<!DOCTYPE html> <html>`");
        refused(&matrix("")[..40], "breaks at byte");
        refused("{}", "breaks at");
        refused(r#"{"status":"success"}"#, "without data");
        refused(
            r#"{"status":"error","errorType":"execution","error":"query timed out"}"#,
            "query timed out",
        );
        refused(
            r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
            "a vector came",
        );
        refused(&matrix(r#"{"metric":{},"values":[[1,2]]}"#), "breaks at");
        refused(&matrix(r#"{"metric":{},"values":[[1,"two"]]}"#), "the value `two`");
        refused(&matrix(r#"{"metric":{},"values":[[1e300,"2"]]}"#), "the time 1e300");
        refused(&matrix(r#"{"metric":{"a":1},"values":[]}"#), "breaks at");
        refused(&"[".repeat(100_000), "breaks at");
        refused(&" ".repeat(ANSWER_BYTES_MAX + 1), "longer than 16 MB");
    }

    #[test]
    fn a_huge_label_is_shown_short() {
        let label = "x".repeat(100_000);
        refused(&format!(r#"{{"status":"{label}"}}"#), "its status is `xxx");
        assert_eq!(
            series(matrix(&format!(r#"{{"metric":{{"a":"{label}"}}}}"#)).as_bytes())
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn more_series_or_labels_than_a_deployment_has_are_refused() {
        let many = |series: usize| vec![r#"{"metric":{}}"#; series].join(",");
        assert!(series(matrix(&many(SERIES_MAX)).as_bytes()).is_ok());
        refused(&matrix(&many(SERIES_MAX + 1)), "more than 20000 series");
        let labels: Vec<String> = (0..=LABELS_MAX).map(|n| format!(r#""l{n}":"""#)).collect();
        refused(
            &matrix(&format!(r#"{{"metric":{{{}}}}}"#, labels.join(","))),
            "more than 64 labels",
        );
    }

    #[test]
    fn label_sets_are_read() {
        let body = r#"{"status":"success","data":[{"__name__":"up","job":"app"}]}"#;
        assert_eq!(label_sets(body.as_bytes()).unwrap()[0]["job"], "app");
    }
}
