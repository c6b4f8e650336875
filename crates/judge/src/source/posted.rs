//! What a monitor that nothing reaches puts into a bucket: raw samples in parts of five minutes, each as Prometheus
//! answered, read with the same suspicion as an answer over the network.
//!
//! Parts lie in a ring of places that are written over and over. The one of now is written again every few seconds with all of
//! it that is known, so that one that came too late, or not at all, costs nothing. What was here before is kept, so each is
//! read until it is whole and no longer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde::Deserialize;

use super::answer::{ANSWER_BYTES_MAX, Data, Envelope, NAME, Series, all_of, good, malformed, merged, shown, too_long};
use super::scrapes::UP;
use super::{Watched, blocks, look_back_s};
use crate::{Block, MetricConfig, SourceError, Timestamp};

/// Seconds of a part. It begins at a multiple of these since the epoch.
pub const PART_S: i64 = 300;
/// Places of the ring: the hour that an engine looks back.
pub const PLACES: usize = 12;
/// Seconds before its beginning that a part holds too: a scrape is stored some seconds after the moment that it is stamped
/// with, which may be after the part before was written for the last time.
pub const OVERLAP_S: i64 = 25;
/// What stands around an answer in a part, in bytes.
const FRAME_BYTES_MAX: usize = 256;
/// Of a part, unpacked.
pub const UNPACKED_BYTES_MAX: usize = ANSWER_BYTES_MAX + FRAME_BYTES_MAX;
/// What all parts of one monitor's ring may take in memory, about: some ten times what two arms show in an hour.
const KEPT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// A monitor that has put nothing there for so many seconds is silent: it does so every ten, and may lose one.
const SILENT_AFTER_S: i64 = 60;
/// The newest parts are read again after so many seconds; a look has several questions.
const ASKED_AGAIN_AFTER_S: i64 = 5;
/// Older ones that are not whole: a monitor that could not reach the bucket puts them there later.
const OLDER_ASKED_AGAIN_AFTER_S: i64 = 60;

/// Which part a moment is in.
pub fn number_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(PART_S)
}

/// Where a part lies in the ring.
pub fn place_of(number: i64) -> usize {
    usize::try_from(number.rem_euclid(PLACES as i64)).expect("a remainder is not negative")
}

/// One part, as far as it was known when it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    number: i64,
    /// Its Prometheus was asked then.
    to: Timestamp,
    series: Result<Vec<Series>, SourceError>,
}

#[derive(Deserialize)]
struct Document<'b> {
    from: i64,
    to: i64,
    #[serde(borrow)]
    answer: Option<Envelope<'b, Data<'b>>>,
    left_out: Option<LeftOut>,
}

/// Why a monitor put no answer there.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LeftOut {
    TooLong,
    NoAnswer,
}

impl Part {
    /// Reads one, unpacked. What a monitor left out is in it as such.
    ///
    /// # Errors
    /// It is none: cut off, of another shape, or longer than an answer may be.
    pub fn read(body: &[u8]) -> Result<Self, SourceError> {
        if body.len() > UNPACKED_BYTES_MAX {
            return Err(too_long());
        }
        let document: Document<'_> = serde_json::from_slice(body).map_err(|error| {
            let why = error.to_string();
            malformed(format!("what the monitor put into the bucket breaks ({})", shown(&why)))
        })?;
        let number = document.from.div_euclid(PART_S);
        let length_s = document.to.checked_sub(document.from);
        let is_a_part =
            document.from.rem_euclid(PART_S) == 0 && length_s.is_some_and(|length_s| (0..=PART_S).contains(&length_s));
        let to = Timestamp::from_second(document.to).ok().filter(|_| is_a_part);
        let to = to
            .ok_or_else(|| malformed("what the monitor put into the bucket is about no part of five minutes".into()))?;
        let series = match (document.answer, document.left_out) {
            (Some(answer), None) => good(answer).and_then(all_of),
            (None, Some(LeftOut::TooLong)) => Err(too_long()),
            (None, Some(LeftOut::NoAnswer)) => Err(SourceError::Unreachable {
                what: "the monitor says that its own Prometheus did not answer".into(),
            }),
            (Some(_), Some(_)) | (None, None) => {
                return Err(malformed(
                    "what the monitor put into the bucket has no answer, or two".into(),
                ));
            }
        };
        Ok(Self { number, to, series })
    }

    /// Which part it is.
    pub const fn number(&self) -> i64 {
        self.number
    }

    /// Up to when it is known.
    pub const fn to(&self) -> Timestamp {
        self.to
    }

    fn bytes(&self) -> usize {
        self.series.iter().flatten().map(Series::bytes).sum()
    }

    fn is_whole(&self) -> bool {
        self.to.as_second() == (self.number + 1) * PART_S && self.series.is_ok()
    }
}

/// Everything that was read of one monitor's ring.
#[derive(Debug, Default)]
pub struct Posted {
    parts: BTreeMap<i64, Part>,
    /// When each was looked for last, and what was wrong with it.
    looked: BTreeMap<i64, (Timestamp, Option<SourceError>)>,
}

impl Posted {
    /// The parts to look for, for a question from a moment on up to now. None that is whole already, and none that was
    /// looked for a moment ago.
    pub fn due(&self, from: Timestamp, now: Timestamp) -> Vec<i64> {
        let newest = number_of(now);
        let oldest = (from.as_second() - OVERLAP_S).div_euclid(PART_S);
        let oldest = oldest.max(newest - PLACES as i64 + 1);
        let is_due = |number: &i64| {
            let is_whole = self.parts.get(number).is_some_and(Part::is_whole);
            let wait_s = if newest - number <= 1 {
                ASKED_AGAIN_AFTER_S
            } else {
                OLDER_ASKED_AGAIN_AFTER_S
            };
            let looked = self.looked.get(number);
            // A clock that was set back looks again.
            let lately = looked.is_some_and(|(at, _)| (0..wait_s).contains(&(now.as_second() - at.as_second())));
            !is_whole && !lately
        };
        (oldest..=newest).filter(is_due).collect()
    }

    /// Takes what lay at a part's place. Another part is what an earlier hour left there.
    pub fn take(&mut self, number: i64, now: Timestamp, found: Result<Option<Part>, SourceError>) {
        let problem = match found {
            Ok(Some(part)) if part.number == number => match &part.series {
                Ok(_) if part.bytes() > KEPT_BYTES_MAX => Some(too_long()),
                Ok(_) => {
                    self.parts.insert(number, part);
                    // What is newest is judged; what is dropped is a hole.
                    while self.parts.values().map(Part::bytes).sum::<usize>() > KEPT_BYTES_MAX {
                        self.parts.pop_first();
                    }
                    None
                }
                // What was known of it stays.
                Err(left_out) => Some(left_out.clone()),
            },
            Ok(Some(_) | None) => None,
            Err(problem) => Some(problem),
        };
        self.looked.insert(number, (now, problem));
        let oldest = number_of(now) - PLACES as i64;
        self.parts.retain(|number, _| *number >= oldest);
        self.looked.retain(|number, _| *number >= oldest);
    }

    /// Blocks of a metric that end inside a window, as [`blocks`] gives them. What is not in the bucket yet is left for the
    /// next question.
    ///
    /// # Errors
    /// There is nothing new, and the monitor is silent, says why, or cannot be read; or as of [`blocks`].
    pub fn blocks(
        &self,
        metric: &MetricConfig,
        watched: &Watched,
        window: &RangeInclusive<Timestamp>,
        scrape_s: f64,
    ) -> Result<Vec<Block>, SourceError> {
        let known_to = self.known_to();
        let end = known_to
            .map(|known| known.min(*window.end()))
            .filter(|end| end > window.start());
        let found = match end {
            Some(end) => {
                let known = *window.start()..=end;
                let series = self.series(watched, &known, scrape_s);
                blocks(metric, watched, &series, &known, scrape_s)
            }
            None => Ok(Vec::new()),
        };
        if found.as_ref().is_ok_and(|blocks| !blocks.is_empty()) {
            return found;
        }
        match self.why_silent(*window.end()) {
            Some(why) => Err(why),
            None => found,
        }
    }

    /// Names and labels of every series with a sample since a moment.
    ///
    /// # Errors
    /// There is none, because the monitor is silent, says why, or cannot be read.
    pub fn label_sets(&self, since: Timestamp, now: Timestamp) -> Result<Vec<BTreeMap<String, String>>, SourceError> {
        let named = |one: &Series| {
            let name = std::iter::once((NAME.to_owned(), one.name.clone()));
            one.labels.clone().into_iter().chain(name).collect()
        };
        let is_shown = |one: &&Series| {
            let reading = one.readings.last().map(|reading| reading.at);
            let native = one.histograms.last().map(|native| native.at);
            reading.max(native).is_some_and(|last| last >= since)
        };
        let shown: BTreeSet<BTreeMap<String, String>> = self.all().filter(is_shown).map(named).collect();
        match self.why_silent(now) {
            Some(why) if shown.is_empty() => Err(why),
            Some(_) | None => Ok(shown.into_iter().collect()),
        }
    }

    /// Up to when the samples are known.
    fn known_to(&self) -> Option<Timestamp> {
        self.parts.values().map(|part| part.to).max()
    }

    fn all(&self) -> impl Iterator<Item = &Series> {
        self.parts.values().flat_map(|part| part.series.iter().flatten())
    }

    /// What a range selector over the window and what is looked back before it would bring.
    fn series(&self, watched: &Watched, window: &RangeInclusive<Timestamp>, scrape_s: f64) -> Vec<Series> {
        let span_s = window.end().duration_since(*window.start()).as_secs_f64();
        let range_ms = (span_s + look_back_s(scrape_s)).ceil() as i64 * 1000;
        let end_ms = window.end().as_millisecond();
        let is_in = |at: Timestamp| (end_ms - range_ms..=end_ms).contains(&at.as_millisecond());
        let names: BTreeSet<String> = watched.names().into_iter().chain([UP.to_owned()]).collect();
        let cut = |one: &Series| {
            let cut = Series {
                name: one.name.clone(),
                labels: one.labels.clone(),
                readings: one
                    .readings
                    .iter()
                    .filter(|reading| is_in(reading.at))
                    .cloned()
                    .collect(),
                histograms: one
                    .histograms
                    .iter()
                    .filter(|native| is_in(native.at))
                    .cloned()
                    .collect(),
            };
            let is_empty = cut.readings.is_empty() && cut.histograms.is_empty();
            (!is_empty).then_some(cut)
        };
        merged(self.all().filter(|one| names.contains(&one.name)).filter_map(cut))
    }

    /// Why there may be nothing new; `None` = the monitor was there a moment ago.
    fn why_silent(&self, now: Timestamp) -> Option<SourceError> {
        let newest = number_of(now);
        for (number, (_, problem)) in self.looked.range(newest - 1..=newest).rev() {
            if problem.is_some() {
                return problem.clone();
            }
            // What was wrong with the part before is over.
            if self.parts.contains_key(number) {
                break;
            }
        }
        let what = match self.known_to() {
            None => "the monitor has put nothing into the bucket yet".to_owned(),
            Some(known) if now.as_second() - known.as_second() > SILENT_AFTER_S => {
                let at = Timestamp::from_second(known.as_second()).unwrap_or(known);
                format!("the monitor has put nothing into the bucket since {at}")
            }
            Some(_) => return None,
        };
        Some(SourceError::NoData { what })
    }
}

#[cfg(test)]
mod tests;
