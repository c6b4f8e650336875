//! Some samples of one series in few bytes. Must never know which series.
//!
//! Scrapes come at a steady pace and counters grow by whole numbers, so a sample is written as the change of the time
//! step and the change of the value: about 3 bytes instead of 16. That is what keeps hours of one-second scrapes
//! small enough to hold.

/// A point in time (milliseconds since the epoch) and a value.
pub(super) type Point = (i64, f64);

/// About two minutes at the pace of `try`: whole chunks are forgotten, so retention is exact to that.
const CHUNK_SAMPLES: u32 = 120;

/// Whole numbers up to this are exact in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

#[derive(Debug, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    count: u32,
    first_t: i64,
    last_t: i64,
    last_step: i64,
    last_value: f64,
}

impl Chunk {
    pub(super) fn is_full(&self) -> bool {
        self.count >= CHUNK_SAMPLES
    }

    pub(super) fn first_t(&self) -> i64 {
        self.first_t
    }

    pub(super) fn last_t(&self) -> i64 {
        self.last_t
    }

    pub(super) fn last_value(&self) -> f64 {
        self.last_value
    }

    /// Bytes held on the heap.
    pub(super) fn size(&self) -> usize {
        self.bytes.capacity()
    }

    /// Adds a sample later than all before it; the caller keeps the order.
    pub(super) fn push(&mut self, (t, value): Point) {
        if self.count == 0 {
            self.first_t = t;
            self.last_t = t;
            self.bytes.extend(value.to_bits().to_le_bytes());
        } else {
            let step = t - self.last_t;
            write_varint(&mut self.bytes, zigzag(step - self.last_step));
            self.last_step = step;
            self.last_t = t;
            match whole_change(self.last_value, value) {
                Some(change) => write_varint(&mut self.bytes, zigzag(change) + 1),
                None => {
                    self.bytes.push(0);
                    self.bytes.extend(value.to_bits().to_le_bytes());
                }
            }
        }
        self.last_value = value;
        self.count += 1;
        if self.is_full() {
            self.bytes.shrink_to_fit();
        }
    }

    pub(super) fn points(&self) -> Points<'_> {
        Points {
            rest: &self.bytes,
            left: self.count,
            t: self.first_t,
            step: 0,
            value: None,
        }
    }
}

/// The change between two values if it is a whole number (or none at all) and restores the second one exactly.
fn whole_change(from: f64, to: f64) -> Option<i64> {
    if from.to_bits() == to.to_bits() {
        return Some(0);
    }
    let whole = |value: f64| value.fract() == 0.0 && value.abs() < EXACT;
    if !whole(from) || !whole(to) {
        return None;
    }
    let change = to as i64 - from as i64;
    (applied(from, change).to_bits() == to.to_bits()).then_some(change)
}

fn applied(from: f64, change: i64) -> f64 {
    if change == 0 {
        from
    } else {
        (from as i64 + change) as f64
    }
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

fn write_varint(bytes: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

/// Reads a chunk from its start. Ends early rather than panic should the bytes ever be cut.
#[derive(Debug)]
pub(super) struct Points<'a> {
    rest: &'a [u8],
    left: u32,
    t: i64,
    step: i64,
    value: Option<f64>,
}

impl Points<'_> {
    fn varint(&mut self) -> Option<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    }

    fn raw(&mut self) -> Option<f64> {
        let (bits, rest) = self.rest.split_first_chunk::<8>()?;
        self.rest = rest;
        Some(f64::from_bits(u64::from_le_bytes(*bits)))
    }
}

impl Iterator for Points<'_> {
    type Item = Point;

    fn next(&mut self) -> Option<Point> {
        self.left = self.left.checked_sub(1)?;
        let value = match self.value {
            None => self.raw()?,
            Some(before) => {
                self.step += unzigzag(self.varint()?);
                self.t += self.step;
                match self.varint()? {
                    0 => self.raw()?,
                    code => applied(before, unzigzag(code - 1)),
                }
            }
        };
        self.value = Some(value);
        Some((self.t, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(points: &[Point]) -> usize {
        let mut chunk = Chunk::default();
        points.iter().for_each(|point| chunk.push(*point));
        let bits = |points: &[Point]| points.iter().map(|(t, v)| (*t, v.to_bits())).collect::<Vec<_>>();
        assert_eq!(bits(&chunk.points().collect::<Vec<_>>()), bits(points));
        chunk.bytes.len()
    }

    #[test]
    fn every_kind_of_value_comes_back_bit_for_bit() {
        let stale = f64::from_bits(super::super::store::STALE);
        let values = [
            0.0,
            -0.0,
            1.0,
            1.5,
            -3.0,
            f64::NAN,
            stale,
            f64::INFINITY,
            1e300,
            EXACT,
            EXACT - 1.0,
            -EXACT,
            0.1,
            0.1,
        ];
        check(
            &values
                .iter()
                .enumerate()
                .map(|(n, v)| (n as i64 * 1000, *v))
                .collect::<Vec<_>>(),
        );
    }

    #[test]
    fn uneven_steps_come_back() {
        check(&[
            (-5, 1.0),
            (0, 2.0),
            (1, 2.0),
            (i64::from(u32::MAX) * 1000, 3.0),
            (i64::from(u32::MAX) * 1000 + 1, 4.0),
        ]);
    }

    #[test]
    fn a_counter_scraped_each_second_takes_three_bytes_a_sample() {
        let points: Vec<Point> = (0..120)
            .map(|n| (1_800_000_000_000 + n * 1000 + n % 3, (n * 87) as f64))
            .collect();
        assert!(check(&points) < 3 * 120 + 16, "{} bytes", check(&points));
    }
}
