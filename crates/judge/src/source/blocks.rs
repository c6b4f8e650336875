//! From the series that a monitor scraped to blocks of both arms.

mod native;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::answer::Series;
use super::origin::Watched;
use super::scrapes::{Common, Scrapes, Side, Target, counted_by, final_before};
use super::selector::Selector;
use crate::buckets::Buckets;
use crate::readings::{Paired, count_blocks, gauge_blocks};
use crate::{Block, CountBlock, GaugeBlock, HistogramBlock, MetricConfig, SourceError, Timestamp, Unit};
use native::native_buckets;

/// Shorter blocks would hold hardly an event each; scrapes closer together are put together.
pub const SHORTEST_BLOCK_S: f64 = 5.0;
/// No monitor scrapes more often, in seconds.
const SHORTEST_SCRAPE_S: f64 = 0.1;
/// Nor less often than once an hour.
const LONGEST_SCRAPE_S: f64 = 3600.0;

/// The length of the blocks that scrapes so many seconds apart give.
pub fn block_s(scrape_s: f64) -> f64 {
    scrape_s
        .clamp(SHORTEST_SCRAPE_S, LONGEST_SCRAPE_S)
        .max(SHORTEST_BLOCK_S)
}

/// So far before a window its series must be read: what was scraped last before it, and who was there at all.
pub fn look_back_s(scrape_s: f64) -> f64 {
    5.0 * scrape_s.clamp(SHORTEST_SCRAPE_S, LONGEST_SCRAPE_S)
}

/// The blocks of a metric that end inside a window, from everything that was scraped [`look_back_s`] before it and in it.
///
/// A block spans from one moment at which both arms were scraped to another; the first begins at the first such moment in
/// the window. So the end of the last block is the right start of the next window. The latest moments are left for the
/// next question, when their neighbours are known.
///
/// # Errors
/// [`SourceError::NoData`] when an arm shows none of the series.
pub fn blocks(
    metric: &MetricConfig,
    watched: &Watched,
    series: &[Series],
    window: &RangeInclusive<Timestamp>,
    scrape_s: f64,
) -> Result<Vec<Block>, SourceError> {
    let scrape_s = scrape_s.clamp(SHORTEST_SCRAPE_S, LONGEST_SCRAPE_S);
    let scraped = Scraped {
        series,
        window,
        every_ms: (scrape_s * 1000.0) as i64,
        cell_ms: (scrape_s < SHORTEST_BLOCK_S).then_some((SHORTEST_BLOCK_S * 1000.0) as i64),
    };
    match watched {
        Watched::Share { events, of } => scraped.shares(events, of),
        Watched::Rate(events) => scraped.rates(events),
        Watched::Buckets(of) => scraped.distributions(of, metric.unit),
        Watched::Level(of) => scraped.levels(of),
        Watched::Speed(of) => scraped.speeds(of),
        Watched::Mean { sum, count } => scraped.means(sum, count),
    }
}

/// What is known of one metric, and how it was scraped.
struct Scraped<'s> {
    series: &'s [Series],
    window: &'s RangeInclusive<Timestamp>,
    every_ms: i64,
    /// Scrapes of one such span make one block; `None` where each makes its own.
    cell_ms: Option<i64>,
}

impl<'s> Scraped<'s> {
    fn chosen(&self, selector: &Selector) -> Vec<&'s Series> {
        let fitting = |series: &&Series| series.name == selector.name && selector.fits(&series.labels);
        self.series.iter().filter(fitting).collect()
    }

    fn scrapes(&self, of: &[&'s Series], selector: &Selector) -> Result<Scrapes, SourceError> {
        let name_it = |error| match error {
            SourceError::NoData { what } => SourceError::NoData {
                what: format!("{what}: {selector}"),
            },
            other @ (SourceError::Unreachable { .. } | SourceError::Malformed { .. }) => other,
        };
        Scrapes::find(of, self.series, self.window, self.every_ms).map_err(name_it)
    }

    /// The moments between which blocks span: all, or the last one in each span of the shortest block that is over.
    fn ends<'c>(&self, common: &'c [Common]) -> Vec<&'c Common> {
        let Some(cell_ms) = self.cell_ms else {
            return common.iter().collect();
        };
        let cell = |common: &Common| common.at.as_millisecond().div_euclid(cell_ms);
        let running = final_before(self.window, self.every_ms).div_euclid(cell_ms);
        let mut ends: Vec<&Common> = Vec::new();
        for one in common {
            match ends.last_mut() {
                // The first moment is where the first block begins, whatever follows in its span.
                Some(last) if cell(last) == cell(one) && ends_after_first(common, last) => *last = one,
                Some(_) | None => ends.push(one),
            }
        }
        ends.retain(|end| cell(end) < running || !ends_after_first(common, end));
        ends
    }

    fn shares(&self, events: &Selector, of: &Selector) -> Result<Vec<Block>, SourceError> {
        let (failed, all) = (self.chosen(events), self.chosen(of));
        let scrapes = self.scrapes(&all, of)?;
        let ends = self.ends(&scrapes.common);
        let (failed, all) = (arms(&failed, &scrapes, &ends), arms(&all, &scrapes, &ends));
        Ok(count_blocks(&failed, &all).into_iter().map(Block::Counts).collect())
    }

    /// Events in seconds of all instances of an arm; blocks in which an instance began anew are left out, since it is
    /// not known for how long it counted.
    fn rates(&self, events: &Selector) -> Result<Vec<Block>, SourceError> {
        let counters = self.chosen(events);
        let scrapes = self.scrapes(&counters, events)?;
        let ends = self.ends(&scrapes.common);
        let counted = arms(&counters, &scrapes, &ends);
        let began_anew = resets(&counters);
        let spans = ends.windows(2).zip(increments(&counted));
        let blocks = spans.filter(|(span, _)| {
            let scraped = |end: &Common, target| Some(scrapes.times_of(target)[end.place(target)?]);
            !began_anew.iter().any(|(target, at)| {
                scraped(span[0], target).is_some_and(|after| *at > after)
                    && scraped(span[1], target).is_some_and(|up_to| *at <= up_to)
            })
        });
        let block = |(span, (baseline, canary)): (&[&Common], (f64, f64))| {
            let seconds = span[1].at.duration_since(span[0].at).as_secs_f64();
            let of = |side| seconds * span[1].targets(side) as f64;
            Block::Counts(CountBlock {
                ends_at: span[1].at,
                baseline_events: baseline,
                canary_events: canary,
                baseline_exposure: of(Side::Baseline),
                canary_exposure: of(Side::Canary),
            })
        };
        Ok(blocks.map(block).collect())
    }

    fn distributions(&self, of: &Selector, unit: Unit) -> Result<Vec<Block>, SourceError> {
        let classic_name = of.with_suffix("_bucket");
        let classic = self.chosen(&classic_name);
        let native: Vec<&Series> = self.chosen(of);
        let native: Vec<&Series> = native.into_iter().filter(|one| !one.histograms.is_empty()).collect();
        // A library may show both at once; the native one is finer.
        let (wanted, is_native) = if native.is_empty() {
            (&classic, false)
        } else {
            (&native, true)
        };
        let scrapes = self.scrapes(wanted, if is_native { of } else { &classic_name })?;
        let ends = self.ends(&scrapes.common);
        let per_side = Side::BOTH.map(|side| {
            let own: Vec<&Series> = wanted
                .iter()
                .copied()
                .filter(|one| side_of(one) == Some(side))
                .collect();
            if is_native {
                native_buckets(&own, &scrapes, &ends, unit)
            } else {
                classic_buckets(&own, &scrapes, &ends)
            }
        });
        let [baseline, canary] = per_side;
        let spans = ends.iter().skip(1).zip(baseline.into_iter().zip(canary));
        let block = |(end, (baseline, canary)): (&&Common, _)| {
            Block::Histogram(HistogramBlock {
                ends_at: end.at,
                baseline,
                canary,
            })
        };
        Ok(spans.map(block).collect())
    }

    /// Means of the moments in each block.
    fn levels(&self, of: &Selector) -> Result<Vec<Block>, SourceError> {
        let gauges = self.chosen(of);
        let scrapes = self.scrapes(&gauges, of)?;
        let at: Vec<Timestamp> = scrapes.common.iter().map(|one| one.at).collect();
        let level = |side| {
            scrapes
                .common
                .iter()
                .map(|one| mean_level(&gauges, &scrapes, one, side))
                .collect()
        };
        let samples = Paired {
            at,
            baseline: level(Side::Baseline),
            canary: level(Side::Canary),
            problem: None,
        };
        let every = gauge_blocks(&samples);
        let ends = self.ends(&scrapes.common);
        Ok(ends
            .windows(2)
            .filter_map(|span| mean_of(&every, span[0].at, span[1].at))
            .collect())
    }

    fn speeds(&self, of: &Selector) -> Result<Vec<Block>, SourceError> {
        let rates = self.rates(of)?.into_iter().filter_map(|block| {
            let rate = block.counts().copied()?;
            Some(Block::Gauge(GaugeBlock {
                ends_at: rate.ends_at,
                baseline: rate.baseline_events / rate.baseline_exposure,
                canary: rate.canary_events / rate.canary_exposure,
            }))
        });
        Ok(rates.collect())
    }

    fn means(&self, sum: &Selector, count: &Selector) -> Result<Vec<Block>, SourceError> {
        let pairs = self.shares(sum, count)?.into_iter().filter_map(|block| {
            let pair = block.counts().copied().filter(CountBlock::compares)?;
            Some(Block::Gauge(GaugeBlock {
                ends_at: pair.ends_at,
                baseline: pair.baseline_events / pair.baseline_exposure,
                canary: pair.canary_events / pair.canary_exposure,
            }))
        });
        Ok(pairs.collect())
    }
}

fn ends_after_first(common: &[Common], one: &Common) -> bool {
    common.first().is_some_and(|first| one.at > first.at)
}

fn side_of(series: &Series) -> Option<Side> {
    Target::of(series).map(|target| target.side())
}

fn samples(series: &Series) -> Vec<(Timestamp, f64)> {
    series
        .readings
        .iter()
        .map(|reading| (reading.at, reading.value))
        .collect()
}

/// What each arm had counted at each end, over all its instances and series.
fn arms(counters: &[&Series], scrapes: &Scrapes, ends: &[&Common]) -> Paired {
    let mut sums = Side::BOTH.map(|_| vec![0.0; ends.len()]);
    for series in counters {
        let Some(target) = Target::of(series) else { continue };
        let counted = counted_by(&samples(series), scrapes.times_of(&target));
        let own = &mut sums[target.side() as usize];
        let mut last = 0.0;
        for (sum, end) in own.iter_mut().zip(ends) {
            // One that has gone keeps what it had counted.
            last = end
                .place(&target)
                .and_then(|place| counted.get(place))
                .copied()
                .unwrap_or(last);
            *sum += last;
        }
    }
    let [baseline, canary] = sums.map(|sums| sums.into_iter().map(Some).collect());
    Paired {
        at: ends.iter().map(|end| end.at).collect(),
        baseline,
        canary,
        problem: None,
    }
}

/// What both arms counted from each end to the next.
fn increments(counted: &Paired) -> impl Iterator<Item = (f64, f64)> {
    let grown = |of: &[Option<f64>]| -> Vec<f64> {
        let known: Vec<f64> = of.iter().map(|value| value.unwrap_or(0.0)).collect();
        known.windows(2).map(|pair| pair[1] - pair[0]).collect()
    };
    grown(&counted.baseline).into_iter().zip(grown(&counted.canary))
}

/// When counters were seen to have begun anew, and of which target.
fn resets(counters: &[&Series]) -> Vec<(Target, Timestamp)> {
    let of_one = |series: &&Series| -> Vec<(Target, Timestamp)> {
        let drops = series.readings.windows(2).filter(|pair| pair[1].value < pair[0].value);
        let target = Target::of(series);
        drops.filter_map(|pair| Some((target.clone()?, pair[1].at))).collect()
    };
    counters.iter().flat_map(of_one).collect()
}

/// Requests by bucket of one arm in each block, over all its instances and series.
fn classic_buckets(counters: &[&Series], scrapes: &Scrapes, ends: &[&Common]) -> Vec<Buckets> {
    let mut groups: BTreeMap<BTreeMap<&str, &str>, Vec<(f64, &Series)>> = BTreeMap::new();
    for series in counters {
        let Some(le) = series.labels.get("le").and_then(|le| le.parse::<f64>().ok()) else {
            continue;
        };
        let others = series.labels.iter().filter(|(name, _)| *name != "le");
        let key = others.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        groups.entry(key).or_default().push((le, series));
    }
    let of_groups: Vec<Vec<Buckets>> = groups
        .values()
        .map(|group| {
            let grown: Vec<(f64, Vec<f64>)> = group
                .iter()
                .map(|(le, series)| (*le, increments_of(series, scrapes, ends)))
                .collect();
            let block = |place: usize| {
                Buckets::from_cumulative(
                    grown
                        .iter()
                        .map(|(le, grown)| (*le, grown.get(place).copied().unwrap_or(0.0))),
                )
            };
            (0..ends.len().saturating_sub(1)).map(block).collect()
        })
        .collect();
    merged(of_groups)
}

/// What one counter counted from each end to the next.
fn increments_of(series: &Series, scrapes: &Scrapes, ends: &[&Common]) -> Vec<f64> {
    let counted = arms(&[series], scrapes, ends);
    increments(&counted)
        .map(|(baseline, canary)| baseline + canary)
        .collect()
}

/// Block by block the sum of several histograms.
fn merged(of_groups: Vec<Vec<Buckets>>) -> Vec<Buckets> {
    let add = |sums: Vec<Buckets>, more: Vec<Buckets>| {
        sums.into_iter()
            .zip(more)
            .map(|(sum, more)| sum.merged(&more))
            .collect()
    };
    of_groups.into_iter().reduce(add).unwrap_or_default()
}

/// The mean over a side's instances of the sum over each one's series.
fn mean_level(gauges: &[&Series], scrapes: &Scrapes, moment: &Common, side: Side) -> Option<f64> {
    let mut levels: BTreeMap<Target, f64> = BTreeMap::new();
    for series in gauges {
        let Some(target) = Target::of(series).filter(|target| target.side() == side) else {
            continue;
        };
        let place = moment.place(&target);
        let Some(at) = place.and_then(|place| scrapes.times_of(&target).get(place)) else {
            continue;
        };
        let found = series.readings.binary_search_by_key(at, |reading| reading.at);
        if let Some(reading) = found
            .ok()
            .map(|place| series.readings[place])
            .filter(|one| one.value.is_finite())
        {
            *levels.entry(target).or_default() += reading.value;
        }
    }
    (!levels.is_empty()).then(|| levels.values().sum::<f64>() / levels.len() as f64)
}

/// The mean of the moments after one and up to another.
fn mean_of(every: &[GaugeBlock], after: Timestamp, up_to: Timestamp) -> Option<Block> {
    let within: Vec<&GaugeBlock> = every
        .iter()
        .filter(|one| one.ends_at > after && one.ends_at <= up_to)
        .collect();
    let mean = |of: fn(&GaugeBlock) -> f64| within.iter().map(|one| of(one)).sum::<f64>() / within.len() as f64;
    (!within.is_empty()).then(|| {
        Block::Gauge(GaugeBlock {
            ends_at: up_to,
            baseline: mean(|one| one.baseline),
            canary: mean(|one| one.canary),
        })
    })
}

#[cfg(test)]
mod tests;
