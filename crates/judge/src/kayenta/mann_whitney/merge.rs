//! Counting pairs of two sorted lists of keys by walking through both at once.

use super::shift::Count;

/// Stands behind the last key of a list; no double has a key as high.
pub(super) const END: i64 = i64::MAX;

/// Parts of the walk that are walked at the same time. A step waits for the one before it, some eight cycles; four walks
/// side by side fill the waiting, more find no registers.
const WALKS: usize = 4;

/// How many pairs have the first list's key above the second's; `None` if two are equal. Both lists end with [`END`].
pub(super) fn above(x: &[i64], y: &[i64]) -> Option<u128> {
    let steps = x.len() + y.len() - 2;
    let part = steps / WALKS;
    let mut in_y = [0, 1, 2, 3].map(|walk| crossing(x, y, walk * part));
    let mut in_x = [0, 1, 2, 3].map(|walk| walk * part - in_y[walk]);
    let mut sum = 0;
    let mut equal = false;
    for _ in 0..part {
        for walk in 0..WALKS {
            step(x, y, &mut in_x[walk], &mut in_y[walk], &mut sum, &mut equal);
        }
    }
    for _ in WALKS * part..steps {
        step(x, y, &mut in_x[WALKS - 1], &mut in_y[WALKS - 1], &mut sum, &mut equal);
    }
    // Each step added the number of keys of y passed so far: those that took from x count the pairs, those that took from
    // y have added 0, 1, 2 and so on.
    let own = (y.len() - 1) * (y.len().max(2) - 2) / 2;
    (!equal).then(|| (sum - own) as u128)
}

/// Takes the smaller of the next two keys, without a branch: which one it is cannot be foreseen.
fn step(x: &[i64], y: &[i64], in_x: &mut usize, in_y: &mut usize, sum: &mut usize, equal: &mut bool) {
    let (from_x, from_y) = (x[*in_x], y[*in_y]);
    let takes_y = usize::from(from_y < from_x);
    *equal |= from_y == from_x;
    *sum += *in_y;
    *in_y += takes_y;
    *in_x += 1 - takes_y;
}

/// How many of the first `steps` keys of the merged lists come from y; of equal keys those of x come first.
fn crossing(x: &[i64], y: &[i64], steps: usize) -> usize {
    let (nx, ny) = (x.len() - 1, y.len() - 1);
    let mut least = steps.saturating_sub(nx);
    let mut span = steps.min(ny) - least;
    while span > 0 {
        let middle = least + span / 2;
        let is_taken = y[middle] < x[steps - 1 - middle];
        least = if is_taken { middle + 1 } else { least };
        span = if is_taken { span - span / 2 - 1 } else { span / 2 };
    }
    least
}

/// Keys before the end mark, and how often each is there; no weights mean once each.
#[derive(Clone, Copy)]
pub(super) struct Weighted<'a> {
    keys: &'a [i64],
    weights: &'a [u32],
}

impl<'a> Weighted<'a> {
    pub(super) fn of(keys: &'a [i64], weights: &'a [u32]) -> Self {
        Self { keys, weights }
    }

    /// The key at the front, or the end mark.
    fn key(self, at: usize) -> i64 {
        self.keys[at]
    }

    fn weight(self, at: usize) -> u64 {
        self.weights.get(at).map_or(1, |&weight| u64::from(weight))
    }
}

/// Pairs and ties of any two lists, also where keys repeat within a list or are equal across.
pub(super) fn count(x: Weighted<'_>, y: Weighted<'_>) -> Count {
    let (mut in_x, mut in_y) = (0, 0);
    let mut passed_y: u64 = 0;
    let mut count = Count {
        twice_above: 0,
        ties: 0,
    };
    loop {
        let key = x.key(in_x).min(y.key(in_y));
        if key == END {
            return count;
        }
        let (mut of_x, mut of_y) = (0, 0);
        while x.key(in_x) == key {
            of_x += x.weight(in_x);
            in_x += 1;
        }
        while y.key(in_y) == key {
            of_y += y.weight(in_y);
            in_y += 1;
        }
        count.twice_above += u128::from(of_x) * u128::from(2 * passed_y + of_y);
        count.ties += tie_term(of_x + of_y);
        passed_y += of_y;
    }
}

/// The tie term of one sorted list.
pub(super) fn ties(keys: &[i64]) -> u128 {
    let blocks = keys.chunk_by(PartialEq::eq);
    blocks.map(|block| tie_term(block.len() as u64)).sum()
}

fn tie_term(length: u64) -> u128 {
    let length = u128::from(length);
    length * length * length - length
}
