//! Production beside the arms, from the same scrapes: where a monitor scrapes production's instances too, with the arm
//! `production`, what they showed in the spans of the arms' blocks.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::answer::Series;
use super::blocks::blocks;
use super::origin::Watched;
use super::scrapes::{ARM, Side, UP};
use crate::{ArmCount, Beside, Block, Machines, MetricConfig, Shown, Timestamp};

/// The arm's name of production's own instances.
pub(super) const PRODUCTION: &str = "production";

/// What production showed beside these blocks of a metric; nothing where it is not scraped, or not of this kind.
///
/// Production is read in the canary's place. A block of that pair is about the same span as one of the arms' if it ends at
/// the same moment and the baseline counted the same in it; others are left out.
pub fn production(
    metric: &MetricConfig,
    watched: &Watched,
    series: &[Series],
    window: &RangeInclusive<Timestamp>,
    scrape_s: f64,
    arms: &[Block],
) -> Vec<Beside> {
    match watched {
        Watched::Share { .. } | Watched::Buckets(_) => {}
        Watched::Rate(_) | Watched::Level(_) | Watched::Speed(_) | Watched::Mean { .. } => return Vec::new(),
    }
    let names: BTreeSet<String> = watched.names().into_iter().collect();
    let wanted = |one: &&Series| one.name == UP || names.contains(&one.name);
    let pair: Vec<Series> = series.iter().filter(wanted).filter_map(in_a_pair).collect();
    let machines = Machines {
        production: instances(&pair, Side::Canary),
        each_arm: instances(&pair, Side::Baseline),
    };
    // Nothing to say of production is no problem of the arms.
    let pairs = blocks(metric, watched, &pair, window, scrape_s).unwrap_or_default();
    let of_span = |pair: &Block| {
        let place = arms.binary_search_by_key(&pair.ends_at(), Block::ends_at).ok()?;
        shown(pair, arms.get(place)?)
    };
    let beside = pairs.iter().filter_map(|pair| {
        Some(Beside {
            ends_at: pair.ends_at(),
            shown: of_span(pair)?,
            machines,
        })
    });
    beside.collect()
}

/// A series of the baseline, or of production in the canary's place.
fn in_a_pair(one: &Series) -> Option<Series> {
    let arm = one.labels.get(ARM)?;
    if arm == Side::Baseline.name() {
        return Some(one.clone());
    }
    (arm == PRODUCTION).then(|| {
        let mut turned = one.clone();
        turned.labels.insert(ARM.to_owned(), Side::Canary.name().to_owned());
        turned
    })
}

fn instances(pair: &[Series], side: Side) -> u32 {
    let of_side = |one: &&Series| one.labels.get(ARM).is_some_and(|arm| arm == side.name());
    let names: BTreeSet<Option<&String>> = pair
        .iter()
        .filter(of_side)
        .map(|one| one.labels.get("instance"))
        .collect();
    u32::try_from(names.len()).unwrap_or(u32::MAX)
}

/// Production's numbers in a block of the pair, if the baseline's are those of the arms' block.
fn shown(pair: &Block, arms: &Block) -> Option<Shown> {
    match (pair, arms) {
        (Block::Counts(pair), Block::Counts(arms)) => {
            let same = pair.baseline_exposure == arms.baseline_exposure && pair.baseline_events == arms.baseline_events;
            same.then_some(Shown::Counts(ArmCount {
                events: pair.canary_events,
                exposure: pair.canary_exposure,
            }))
        }
        (Block::Histogram(pair), Block::Histogram(arms)) => {
            (pair.baseline == arms.baseline).then(|| Shown::Histogram(pair.canary.clone()))
        }
        (Block::Counts(_) | Block::Histogram(_) | Block::Gauge(_), _) => None,
    }
}

#[cfg(test)]
mod tests;
