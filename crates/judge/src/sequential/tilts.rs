//! Ways in which a canary may be slower (S2.2), as density ratios over buckets that never fall.
//!
//! A ratio that never falls keeps the test valid for "the canary is not slower", whatever the common distribution.

/// "Every request so many times slower."
const SCALES: [f64; 8] = [1.05, 1.10, 1.20, 1.35, 1.60, 2.0, 3.0, 5.0];
/// "More requests above the edge nearest this quantile", at these odds.
const TAILS: [f64; 4] = [0.50, 0.90, 0.95, 0.99];
const TAIL_ODDS: [f64; 3] = [1.25, 2.0, 5.0];
/// Number of ways.
pub const TILTS: usize = SCALES.len() + TAILS.len() * TAIL_ODDS.len();
/// A ratio beyond this is not bet on: one request must not decide.
const LARGEST_RATIO: f64 = 20.0;
/// Distances to a quantile that differ by less are a tie, which the lower edge wins.
const TIE: f64 = 1e-9;
/// Keeps a bucket without requests from dividing by nothing.
const LEAST_DENSITY: f64 = 1e-12;

/// One way of being slower.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tilt {
    /// Every request takes so many times as long.
    Scaled(f64),
    /// The odds of lying above the edge nearest a quantile are so many times as high.
    Tail {
        /// The quantile.
        quantile: f64,
        /// The odds.
        odds: f64,
    },
}

impl Tilt {
    /// A way by its place in [`for_each_ratio`].
    pub fn at(place: usize) -> Self {
        let tail = place.saturating_sub(SCALES.len());
        match SCALES.get(place) {
            Some(scale) => Self::Scaled(*scale),
            None => Self::Tail {
                quantile: TAILS[(tail / TAIL_ODDS.len()).min(TAILS.len() - 1)],
                odds: TAIL_ODDS[tail % TAIL_ODDS.len()],
            },
        }
    }
}

impl Tilt {
    /// The way as a person says it of a canary that is slower; `slower` is the word for it.
    pub fn in_words(self, slower: &str) -> String {
        match self {
            Self::Scaled(scale) => format!("every request {scale} times {slower}"),
            Self::Tail { quantile, odds } => {
                format!("{odds} times the odds of being {slower} than p{:.0}", 100.0 * quantile)
            }
        }
    }
}

impl std::fmt::Display for Tilt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scaled(scale) => write!(f, "x{scale}"),
            Self::Tail { quantile, odds } => write!(f, "share above p{:.0} edge, odds x{odds}", 100.0 * quantile),
        }
    }
}

/// Boundaries of buckets: finite, positive, rising upper edges; one bucket more lies above them.
#[derive(Debug, Clone, PartialEq)]
pub struct Edges {
    upper: Vec<f64>,
    /// Logarithms of the edges, after that of the edge that the first bucket is given below.
    log: Vec<f64>,
}

impl Edges {
    /// Boundaries, or nothing when they are not finite, positive and rising, or when there is none.
    pub fn new(upper: &[f64]) -> Option<Self> {
        let positive = upper.iter().all(|edge| edge.is_finite() && *edge > 0.0);
        let rising = upper.windows(2).all(|pair| pair[0] < pair[1]);
        if upper.is_empty() || !positive || !rising {
            return None;
        }
        let logs: Vec<f64> = upper.iter().map(|edge| edge.ln()).collect();
        // The first bucket is taken to be as wide as the second, on the logarithmic scale.
        let below = match logs[..] {
            [first, second, ..] => first - (second - first),
            [only] => only - 1.0,
            [] => return None,
        };
        Some(Self {
            upper: upper.to_vec(),
            log: std::iter::once(below).chain(logs).collect(),
        })
    }

    /// The finite upper edges.
    pub fn upper(&self) -> &[f64] {
        &self.upper
    }

    /// Number of buckets, the one above all edges included.
    pub fn buckets(&self) -> usize {
        self.upper.len() + 1
    }
}

/// Calls `bet` with each way's ratio over the buckets, against a density that sums to one.
pub fn for_each_ratio(edges: &Edges, density: &[f64], mut bet: impl FnMut(usize, &[f64])) {
    let shares = shares_below(density);
    let mut ratio = vec![0.0; density.len()];
    for (place, scale) in SCALES.iter().enumerate() {
        scaled(edges, density, &shares, *scale, &mut ratio);
        bet(place, &ratio);
    }
    for (q, quantile) in TAILS.iter().enumerate() {
        let edge = nearest_edge(&shares[1..], *quantile);
        for (o, odds) in TAIL_ODDS.iter().enumerate() {
            for (bucket, entry) in ratio.iter_mut().enumerate() {
                *entry = if bucket > edge { *odds } else { 1.0 };
            }
            bet(SCALES.len() + q * TAIL_ODDS.len() + o, &ratio);
        }
    }
}

/// The density of "every request so many times slower": each bucket's share of requests.
pub fn slowed(edges: &Edges, density: &[f64], scale: f64) -> Vec<f64> {
    let mut ratio = vec![0.0; density.len()];
    scaled(edges, density, &shares_below(density), scale, &mut ratio);
    let whole: f64 = ratio.iter().zip(density).map(|(r, f)| r * f).sum();
    ratio.iter().zip(density).map(|(r, f)| r * f / whole).collect()
}

/// The edge whose share of requests at or below it is nearest to a quantile; of a tie the lower one.
pub fn nearest_edge(shares_below: &[f64], quantile: f64) -> usize {
    let distance = |share: &f64| (share - quantile).abs();
    let least = shares_below.iter().map(distance).fold(f64::INFINITY, f64::min);
    let near = |share: &f64| distance(share) <= least + TIE;
    shares_below.iter().position(near).unwrap_or(0)
}

/// Share of requests below the first bucket (0) and at or below each edge.
fn shares_below(density: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let below = density[..density.len() - 1].iter().map(|part| {
        sum += part;
        sum
    });
    std::iter::once(0.0).chain(below).collect()
}

/// The ratio of the slowed density to the density, made to never fall, into `ratio`.
fn scaled(edges: &Edges, density: &[f64], shares: &[f64], scale: f64, ratio: &mut [f64]) {
    let shift = scale.ln();
    let (mut segment, mut below, mut largest) = (0, 0.0, 0.0f64);
    for (bucket, part) in density.iter().enumerate() {
        let up_to = match edges.log.get(bucket + 1) {
            Some(edge) => interpolated(&edges.log, shares, edge - shift, &mut segment),
            // What leaves the last edge never returns.
            None => 1.0,
        };
        let moved = (up_to - below).max(LEAST_DENSITY) / part.max(LEAST_DENSITY);
        below = up_to;
        largest = largest.max(moved.clamp(1.0 / LARGEST_RATIO, LARGEST_RATIO));
        ratio[bucket] = largest;
    }
}

/// The share at a place between edges, linear in the logarithm. Places must be asked for in rising order.
fn interpolated(log: &[f64], shares: &[f64], place: f64, segment: &mut usize) -> f64 {
    if place < log[0] {
        return 0.0;
    }
    while *segment + 2 < log.len() && log[*segment + 1] <= place {
        *segment += 1;
    }
    let (from, to) = (log[*segment], log[*segment + 1]);
    let (low, high) = (shares[*segment], shares[*segment + 1]);
    low + (high - low) / (to - from) * (place - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges() -> Edges {
        Edges::new(&[0.1, 0.2, 0.4]).unwrap()
    }

    #[test]
    fn edges_must_be_positive_and_rising() {
        for wrong in [
            &[][..],
            &[0.0, 1.0],
            &[-1.0],
            &[1.0, 1.0],
            &[2.0, 1.0],
            &[f64::INFINITY],
            &[f64::NAN],
        ] {
            assert_eq!(Edges::new(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn no_ratio_ever_falls() {
        for_each_ratio(&edges(), &[0.5, 0.3, 0.15, 0.05], |place, ratio| {
            assert!(
                ratio.windows(2).all(|pair| pair[0] <= pair[1]),
                "{}: {ratio:?}",
                Tilt::at(place)
            );
        });
    }

    #[test]
    fn twice_as_slow_moves_every_bucket_up_by_one() {
        let slowed = slowed(&edges(), &[0.25; 4], 2.0);
        // The ratios are 1/20 (nothing comes into the first bucket), 1, 1 and 2.
        let expected = [0.0125, 0.25, 0.25, 0.5].map(|part| part / 1.0125);
        assert!(
            slowed.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9),
            "{slowed:?}"
        );
    }

    #[test]
    fn ways_are_named_by_what_they_say() {
        assert_eq!(Tilt::at(1).to_string(), "x1.1");
        assert_eq!(Tilt::at(TILTS - 1).to_string(), "share above p99 edge, odds x5");
        assert_eq!(Tilt::at(SCALES.len()).to_string(), "share above p50 edge, odds x1.25");
    }
}
