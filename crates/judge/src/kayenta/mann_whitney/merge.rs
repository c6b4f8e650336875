//! Counting pairs of two sorted lists of keys by walking through both at once.
//!
//! The layout of the lists serves the walk. x rises and y falls, so that after any number of steps the next keys of both
//! stand at the *same* place of two windows of the same length, and one place is all there is to remember.

use super::shift::Count;

/// Stands behind the last key of a list; no double has a key as high.
const END: u64 = u64::MAX;

/// Parts of the walk that are walked at the same time. A step waits for the one before it, some eight cycles; four walks
/// side by side fill the waiting, more find no registers.
const WALKS: usize = 4;

/// Steps of a walk between two looks at where it is; lists have margins of this many keys that no step reads.
const STRIDE: usize = 64;

/// The next key, where all steps of a stride took from x, and as many before it as they can take from y.
type Window = [u64; STRIDE + 1];

/// Keys that rise: a margin, the keys, the end mark, a margin.
#[derive(Debug)]
pub(super) struct Rising(Vec<u64>);

/// Keys that fall: a margin, the end mark, the keys.
#[derive(Debug)]
pub(super) struct Falling(Vec<u64>);

/// How often each key of a list is there, in its order; none means once each.
pub(super) type Weights<'a> = &'a [u32];

impl Rising {
    /// Room for so many keys; they are to be set before the first walk.
    pub(super) fn room(length: usize) -> Self {
        let mut padded = vec![0; STRIDE + length];
        padded.resize(padded.len() + STRIDE, END);
        Self(padded)
    }

    pub(super) fn keys_mut(&mut self) -> &mut [u64] {
        let length = self.length();
        &mut self.0[STRIDE..][..length]
    }

    fn length(&self) -> usize {
        self.0.len() - 2 * STRIDE
    }

    /// The keys and the end mark.
    fn ended(&self) -> &[u64] {
        &self.0[STRIDE..=STRIDE + self.length()]
    }
}

impl Falling {
    pub(super) fn sorted(keys: impl Iterator<Item = u64>) -> Self {
        let mut padded: Vec<u64> = std::iter::repeat_n(END, STRIDE + 1).chain(keys).collect();
        // The end marks are the greatest of all and stay in front.
        padded.sort_unstable_by(|one, other| other.cmp(one));
        Self(padded)
    }

    pub(super) fn keys(&self) -> &[u64] {
        &self.0[STRIDE + 1..]
    }

    fn length(&self) -> usize {
        self.0.len() - STRIDE - 1
    }

    /// The end mark and the keys: at each place the key that is next when so many are left.
    fn ended(&self) -> &[u64] {
        &self.0[STRIDE..]
    }
}

/// How many pairs have the first list's key above the second's; `None` if two are equal. No list is empty.
pub(super) fn above(x: &Rising, y: &Falling) -> Option<u64> {
    let steps = x.length() + y.length();
    let part = steps / WALKS;
    let mut walks = [0, 1, 2, 3].map(|number| Walk::from(number * part, x, y));
    let mut passed = Passed::default();
    let mut open = part;
    while open > 0 {
        let stride = open.min(STRIDE);
        passed.stride(&mut walks, stride, x, y);
        open -= stride;
    }
    let [.., last] = &mut walks;
    passed.rest(last, steps % WALKS, x, y);
    if passed.met_equal {
        return None;
    }
    // What y has passed is its length less what it has left. Of its sum over all steps, those that took from x make the
    // pairs; those that took from y make 0, 1, 2 and so on.
    let length = y.length() as u64;
    Some(steps as u64 * length - passed.left - length * (length - 1) / 2)
}

/// Where a walk is.
#[derive(Clone, Copy)]
struct Walk {
    taken_of_x: usize,
    left_of_y: usize,
}

/// What the steps of all walks add up to.
#[derive(Default)]
struct Passed {
    /// Sum over the steps of the keys that y had left before each.
    left: u64,
    met_equal: bool,
}

impl Passed {
    /// The same number of steps, at most a stride, of each walk.
    fn stride(&mut self, walks: &mut [Walk; WALKS], steps: usize, x: &Rising, y: &Falling) {
        let [y0, y1, y2, y3] = walks.each_ref().map(|walk| walk.window_of(y));
        let [x0, x1, x2, x3] = walks.each_ref().map(|walk| walk.windows_of(x, steps));
        let [mut at0, mut at1, mut at2, mut at3] = [STRIDE; WALKS];
        let mut left = 0;
        for (((x0, x1), x2), x3) in x0.zip(x1).zip(x2).zip(x3) {
            left += at0 + at1 + at2 + at3;
            self.step(x0, y0, &mut at0);
            self.step(x1, y1, &mut at1);
            self.step(x2, y2, &mut at2);
            self.step(x3, y3, &mut at3);
        }
        self.left += left as u64;
        for (walk, at) in walks.iter_mut().zip([at0, at1, at2, at3]) {
            self.left += (steps * walk.left_of_y) as u64;
            self.left -= (steps * STRIDE) as u64;
            walk.move_on(steps, at);
        }
    }

    /// The same for one walk alone.
    fn rest(&mut self, walk: &mut Walk, steps: usize, x: &Rising, y: &Falling) {
        let mut at = STRIDE;
        for window in walk.windows_of(x, steps) {
            self.left += (walk.left_of_y + at - STRIDE) as u64;
            self.step(window, walk.window_of(y), &mut at);
        }
    }

    /// Takes the smaller of the next two keys, without a branch: which one it is cannot be foreseen.
    #[inline(always)]
    fn step(&mut self, x: &Window, y: &Window, at: &mut usize) {
        let (from_x, from_y) = (x[*at], y[*at]);
        self.met_equal |= from_x == from_y;
        *at -= usize::from(from_y < from_x);
    }
}

impl Walk {
    /// The walk that begins after so many steps of the whole; of equal keys those of x are taken first.
    fn from(steps: usize, x: &Rising, y: &Falling) -> Self {
        let (length, y) = (y.length(), y.ended());
        let mut least = length - steps.min(length);
        let mut most = length - steps.saturating_sub(x.length());
        while least < most {
            let middle = (least + most).div_ceil(2);
            // Then the last step took a key of y still: fewer are left.
            if y[middle] < x.ended()[steps + middle - length - 1] {
                most = middle - 1;
            } else {
                least = middle;
            }
        }
        Self {
            taken_of_x: steps + least - length,
            left_of_y: least,
        }
    }

    fn window_of(self, y: &Falling) -> &Window {
        y.0[self.left_of_y..]
            .first_chunk()
            .expect("the margin is a stride, and the end mark comes on top")
    }

    /// One for each step: while it takes from x its next key stays at the same place of the windows.
    fn windows_of(self, x: &Rising, steps: usize) -> impl Iterator<Item = &Window> {
        x.0[self.taken_of_x..][..STRIDE + steps].array_windows()
    }

    fn move_on(&mut self, steps: usize, at: usize) {
        let taken_of_y = STRIDE - at;
        self.left_of_y -= taken_of_y;
        self.taken_of_x += steps - taken_of_y;
    }
}

/// Pairs and ties of any two lists, also where keys repeat within a list or are equal across.
pub(super) fn count(x: &Rising, x_weights: Weights<'_>, y: &Falling, y_weights: Weights<'_>) -> Count {
    let (keys, falling) = (x.ended(), y.ended());
    let weight = |weights: Weights<'_>, at: usize| weights.get(at).map_or(1, |&weight| u64::from(weight));
    let (mut taken, mut left, mut passed) = (0, y.length(), 0);
    let mut count = Count::default();
    loop {
        let key = keys[taken].min(falling[left]);
        if key == END {
            return count;
        }
        let (mut of_x, mut of_y) = (0, 0);
        while keys[taken] == key {
            of_x += weight(x_weights, taken);
            taken += 1;
        }
        while falling[left] == key {
            of_y += weight(y_weights, left - 1);
            left -= 1;
        }
        count.twice_above += of_x * (2 * passed + of_y);
        count.ties += tie_term(of_x + of_y);
        passed += of_y;
    }
}

/// The tie term of one sorted list.
pub(super) fn ties(keys: &[u64]) -> u128 {
    let blocks = keys.chunk_by(PartialEq::eq);
    blocks.map(|block| tie_term(block.len() as u64)).sum()
}

/// The cube of a number of values can pass 64 bits, where a product of two cannot.
fn tie_term(length: u64) -> u128 {
    let length = u128::from(length);
    length * length * length - length
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{Falling, Rising, above, count, ties};

    fn lists(x: &mut [u64], y: &[u64]) -> (Rising, Falling) {
        x.sort_unstable();
        let mut rising = Rising::room(x.len());
        rising.keys_mut().copy_from_slice(x);
        (rising, Falling::sorted(y.iter().copied()))
    }

    fn pairs(x: &[u64], y: &[u64], holds: fn(&u64, &u64) -> bool) -> u64 {
        let of = |x: &u64| y.iter().filter(|y| holds(x, y)).count() as u64;
        x.iter().map(of).sum()
    }

    proptest! {
        #[test]
        fn pairs_above_are_counted_one_by_one(
            mut x in vec(0..2000_u64, 1..700),
            y in vec(0..2000_u64, 1..700),
        ) {
            // Odd against even: never equal across, often within.
            x.iter_mut().for_each(|key| *key *= 2);
            let y: Vec<u64> = y.iter().map(|key| key * 2 + 1).collect();
            let (rising, falling) = lists(&mut x, &y);
            prop_assert_eq!(above(&rising, &falling), Some(pairs(&x, &y, |x, y| x > y)));
        }

        #[test]
        fn equal_keys_across_are_never_missed(
            mut x in vec(0..100_000_u64, 1..700),
            mut y in vec(0..100_000_u64, 1..700),
            at in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let equal = *at.0.get(&x);
            *at.1.get_mut(&mut y) = equal;
            let (rising, falling) = lists(&mut x, &y);
            prop_assert_eq!(above(&rising, &falling), None);
        }

        #[test]
        fn tied_pairs_count_half_and_blocks_by_their_cube(
            mut x in vec(0..30_u64, 1..60),
            y in vec(0..30_u64, 1..60),
        ) {
            let (rising, falling) = lists(&mut x, &y);
            let found = count(&rising, &[], &falling, &[]);
            prop_assert_eq!(found.twice_above, 2 * pairs(&x, &y, |x, y| x > y) + pairs(&x, &y, |x, y| x == y));
            let mut pooled = [x, y].concat();
            pooled.sort_unstable();
            prop_assert_eq!(found.ties, ties(&pooled));
        }
    }

    #[test]
    fn tie_terms_are_those_of_the_formula() {
        assert_eq!(ties(&[1, 2, 3]), 0);
        assert_eq!(ties(&[1, 1, 2, 5, 5, 5]), 6 + 24);
    }
}
