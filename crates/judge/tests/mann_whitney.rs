//! The fast interval is the plain one, to the bit, on any doubles.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../benches/support/plain.rs"]
mod plain;

use arya_judge::kayenta::mann_whitney::{IntervalError, interval, w_statistic};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Confidence levels with the standard normal quantile at half of what each leaves.
const LEVELS: [(f64, f64); 4] = [
    (0.98, -2.326347874040841),
    (0.95, -1.959963984540054),
    (0.90, -1.644853626951473),
    (0.99, -2.5758293035489004),
];

/// Bits, so that NaN equals itself and −0 differs from 0; one NaN is like another.
fn bits(numbers: [f64; 3]) -> [u64; 3] {
    numbers.map(|number| if number.is_nan() { f64::NAN } else { number }.to_bits())
}

fn check(control: &[f64], experiment: &[f64], (confidence, quantile): (f64, f64)) {
    let fast = interval(control, experiment, confidence)
        .ok()
        .map(|found| [found.lower, found.upper, found.estimate]);
    let slow = plain::interval(control, experiment, quantile);
    assert_eq!(fast.map(bits), slow.map(bits), "{fast:?} instead of {slow:?}");
}

fn check_statistic(control: &[f64], experiment: &[f64], mu: f64) {
    let fast = w_statistic(control, experiment, mu, 0.5).ok();
    let slow = plain::w_statistic(control, experiment, mu, 0.5);
    assert_eq!(
        fast.map(|w| bits([w; 3])),
        slow.map(|w| bits([w; 3])),
        "{fast:?} instead of {slow:?}"
    );
}

/// Doubles of every kind, the odd ones often.
fn any_double() -> impl Strategy<Value = f64> {
    let odd = [
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        5e-324,
        -5e-324,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
    ];
    prop_oneof![any::<u64>().prop_map(f64::from_bits), select(odd.to_vec()), -3.0..3.0]
}

/// Values of one kind, from one to more than a stride of all walks takes: continuous, tied, decimal, of numbers that round
/// together once shifted, tiny, zeros of both signs.
fn values(most: usize) -> impl Strategy<Value = Vec<f64>> {
    let sizes = 1..most;
    let zeros = select(vec![0.0, -0.0, 1.0, -1.0]);
    prop_oneof![
        vec(-5.0..20.0, sizes.clone()),
        vec((-4..9).prop_map(f64::from), sizes.clone()),
        vec((0..400).prop_map(|cents| f64::from(cents) / 100.0), sizes.clone()),
        vec(1e15..1.000_000_1e15, sizes.clone()),
        vec(0.0..1e-5, sizes.clone()),
        vec((0_u64..40).prop_map(f64::from_bits), sizes.clone()),
        vec(zeros, sizes),
    ]
}

/// Both sides of one kind more often than chance has it, so that ties across are usual.
fn sides(most: usize) -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    let same_kind = values(most).prop_flat_map(|values| {
        let length = values.len();
        (Just(values).prop_shuffle(), 0..=length)
    });
    let split = same_kind.prop_map(|(mut one, at)| {
        let other = one.split_off(at.min(one.len() - 1));
        (if one.is_empty() { other.clone() } else { one }, other)
    });
    prop_oneof![(values(most), values(most)), split]
}

proptest! {
    #[test]
    fn the_interval_is_the_plain_one_to_the_bit((control, experiment) in sides(120), level in select(LEVELS.to_vec())) {
        check(&control, &experiment, level);
    }

    #[test]
    fn the_interval_is_the_plain_one_for_any_doubles(
        control in vec(any_double(), 1..25),
        experiment in vec(any_double(), 1..25),
    ) {
        check(&control, &experiment, LEVELS[0]);
    }

    #[test]
    fn the_statistic_is_the_plain_one_at_any_shift(
        (control, experiment) in sides(900),
        mu in prop_oneof![any_double(), (-4..9).prop_map(f64::from), (0..400).prop_map(|cents| f64::from(cents) / 100.0)],
    ) {
        check_statistic(&control, &experiment, mu);
    }

    #[test]
    fn the_statistic_is_the_plain_one_where_two_values_meet(
        (control, experiment) in sides(300),
        at in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let mu = at.0.get(&experiment) - at.1.get(&control);
        check_statistic(&control, &experiment, mu);
    }

    #[test]
    fn the_order_of_the_values_does_not_matter((control, experiment) in sides(120)) {
        let reversed = |values: &[f64]| values.iter().rev().copied().collect::<Vec<_>>();
        prop_assert_eq!(
            interval(&control, &experiment, 0.98),
            interval(&reversed(&control), &reversed(&experiment), 0.98)
        );
    }

    #[test]
    fn scaling_by_a_power_of_two_leaves_the_statistic_as_it_is(
        (control, experiment) in (vec(-5.0..20.0, 1..60), vec(-5.0..20.0, 1..60)),
        mu in -3.0..3.0,
        power in -200..200,
    ) {
        let factor = 2_f64.powi(power);
        let scaled = |values: &[f64]| values.iter().map(|value| value * factor).collect::<Vec<_>>();
        prop_assert_eq!(
            w_statistic(&control, &experiment, mu, 0.0),
            w_statistic(&scaled(&control), &scaled(&experiment), mu * factor, 0.0)
        );
    }
}

#[test]
fn large_samples_are_the_plain_ones_too() {
    // A linear congruence: no two values of a side are equal, and the sides interleave without a pattern.
    let side = |seed: u64, length: usize, grain: f64| -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 / (1_u64 << 53) as f64 * 20.0 / grain).round() * grain
        };
        (0..length).map(|_| next()).collect()
    };
    for grain in [1e-9, 1e-3, 0.5] {
        for (control, experiment) in [(3000, 2000), (2500, 40), (1, 700)] {
            check(&side(1, control, grain), &side(2, experiment, grain), LEVELS[0]);
        }
    }
}

#[test]
fn where_kayenta_throws_is_an_error() {
    assert_eq!(interval(&[1.0], &[3.0], 0.98), Err(IntervalError::AllTied));
    assert_eq!(
        interval(&[f64::NAN; 3], &[f64::INFINITY], 0.98),
        Err(IntervalError::AllTied)
    );
    assert_eq!(interval(&[], &[3.0], 0.98), Err(IntervalError::NoValues));
    assert_eq!(interval(&[3.0], &[], 0.98), Err(IntervalError::NoValues));
    assert_eq!(
        interval(&[1.0, 2.0], &[3.0], f64::NAN),
        Err(IntervalError::ConfidenceOutOfRange)
    );
    assert_eq!(
        interval(&[1.0, 2.0], &[3.0], 1.5),
        Err(IntervalError::ConfidenceOutOfRange)
    );
}

#[test]
fn full_confidence_leaves_the_whole_range() {
    let found = interval(&[1.0, 2.0, 4.0], &[3.0, 5.0, 5.5], 1.0).unwrap();
    assert_eq!((found.lower, found.upper), (-1.0, 4.5));
}

#[test]
fn four_values_on_each_side_are_bounded_by_their_extremes() {
    let found = interval(&[1.0, 2.0, 3.0, 4.0], &[10.0, 20.0, 30.0, 40.0], 0.95).unwrap();
    assert_eq!((found.lower, found.upper), (6.0, 39.0));
    assert!((found.estimate - 22.5).abs() < 1.0, "{found:?}");
}
