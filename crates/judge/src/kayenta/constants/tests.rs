//! The smallest cases of every rule.

use super::*;

fn constant(values: &[f64]) -> Constant {
    Constant::of(values).expect("the values are all the same")
}

fn check(baseline: &[f64], canary: &[f64], expected: Result<f64, AllTied>) {
    let found = interval(&constant(baseline), &constant(canary)).map(|found| {
        assert_eq!((found.lower, found.upper), (found.estimate, found.estimate));
        found.estimate
    });
    assert_eq!(found, expected, "{baseline:?} against {canary:?}");
}

#[test]
fn different_constants_lie_exactly_as_far_apart_as_they_do() {
    check(&[2.0; 3], &[5.0; 2], Ok(3.0));
    check(&[5.0; 3], &[2.0], Ok(-3.0));
    check(&[5.0], &[2.0; 2], Ok(-3.0));
    check(&[1.0], &[100.0], Ok(99.0));
}

#[test]
fn values_that_differ_are_no_constant_and_zeros_of_both_signs_are_one() {
    assert_eq!(Constant::of(&[1.0, 1.0, 2.0]), None);
    assert_eq!(Constant::of(&[f64::NAN]), None);
    assert_eq!(Constant::of(&[]), None);
    assert!(constant(&[0.0, -0.0]).is_same_as(&constant(&[-0.0])));
    assert!(!constant(&[0.0]).is_same_as(&constant(&[1.0])));
}

#[test]
fn one_value_is_tied_with_baselines_that_are_zero_but_not_with_negative_zeros() {
    for canary in [5.0, -5.0, 1e9, 5e-324] {
        check(&[0.0], &[canary], Err(AllTied));
        check(&[0.0; 9], &[canary], Err(AllTied));
        check(&[-0.0], &[canary], Ok(canary));
        check(&[-0.0; 3], &[canary], Ok(canary));
        check(&[0.0, -0.0], &[canary], Ok(canary));
        check(&[-0.0, 0.0, 0.0], &[canary], Ok(canary));
    }
    check(&[0.0], &[5.0; 2], Ok(5.0));
    check(&[-0.0], &[5.0; 2], Ok(5.0));
}

#[test]
fn canaries_that_are_zero_are_tied_with_one_value_whatever_their_signs() {
    for zeros in [&[0.0][..], &[-0.0], &[-0.0, -0.0], &[0.0, -0.0]] {
        check(&[5.0], zeros, Err(AllTied));
        check(&[5.0; 2], zeros, Ok(-5.0));
    }
}

#[test]
fn one_value_against_one_is_tied_wherever_their_difference_is_exact() {
    for (baseline, canary) in [
        (5.0, 9.9),
        (5.0, 11.0),
        (4.1, 12.0),
        (7.9, 15.7),
        (100.0, 227.0),
        (-5.0, -11.0),
        (5.0, 0.1),
        (1e-310, 1e-308),
        (5e-324, 1e-323),
    ] {
        check(&[baseline], &[canary], Err(AllTied));
    }
    for (baseline, canary) in [(5.0, 14.0), (4.1, 12.2), (100.0, 230.0), (5.0, -11.0), (1e-310, 1e-300)] {
        check(&[baseline], &[canary], Ok(canary - baseline));
    }
}

#[test]
fn a_difference_is_exact_when_adding_it_again_gives_every_number_back() {
    for (one, other) in [(11.0, 5.0), (1.5, 0.7), (227.3, 100.1), (3e-310, 1e-310)] {
        assert!(is_exact_difference(one - other, one, other), "{one} {other}");
        assert_eq!(one - other + other, one);
        assert_eq!(one - (one - other), other);
    }
    assert!(!is_exact_difference(0.1 - 1e-9, 0.1, 1e-9));
    assert!(!is_exact_difference(1.0 + f64::EPSILON, 1.0, -f64::EPSILON));
}

#[test]
fn canaries_that_vanish_in_the_rounding_are_tied_with_one_value() {
    check(&[1e9], &[1e-6; 3], Err(AllTied));
    check(&[1e9; 2], &[1e-6; 3], Ok(1e-6 - 1e9));
    check(&[1e9], &[1e-2; 3], Ok(1e-2 - 1e9));
}

#[test]
fn numbers_too_small_for_noise_stay_one_value() {
    check(&[5e-324; 3], &[0.0; 2], Err(AllTied));
    check(&[1e-323], &[5e-324; 3], Err(AllTied));
    check(&[5e-324; 3], &[1.0], Ok(1.0));
}

#[test]
fn infinite_baselines_are_tied_if_they_rank_above_all_or_are_alone() {
    for canary in [0.0, 5.0, f64::NEG_INFINITY] {
        check(&[f64::INFINITY], &[canary], Err(AllTied));
        check(&[f64::INFINITY; 9], &[canary; 9], Err(AllTied));
    }
    check(&[f64::NEG_INFINITY], &[5.0], Err(AllTied));
    check(&[f64::NEG_INFINITY; 3], &[5.0], Ok(f64::INFINITY));
}

#[test]
fn an_infinite_shift_ties_nothing_with_finite_values() {
    check(&[-1e308], &[1e308], Ok(f64::INFINITY));
    check(&[1e308], &[-1e308], Ok(f64::NEG_INFINITY));
    for baseline in [0.0, -0.0, 5.0, -1.7e308] {
        check(&[baseline], &[f64::INFINITY], Ok(f64::INFINITY));
        check(&[baseline; 4], &[f64::NEG_INFINITY; 4], Ok(f64::NEG_INFINITY));
    }
}
