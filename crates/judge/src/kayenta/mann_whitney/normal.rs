//! The standard normal quantile.
//!
//! By the inverse error function of M. Giles, "Approximating the erfinv function", GPU Computing Gems (2012), in double
//! precision: polynomials in w = −ln(1 − e²), over three ranges of w.

use std::f64::consts::SQRT_2;

/// For w < 6.25, in w − 3.125; highest power first.
const CENTRE: [f64; 23] = [
    -3.64441206401782e-21,
    -1.6850591381820166e-19,
    1.28584807152564e-18,
    1.1157877678025181e-17,
    -1.333171662854621e-16,
    2.0972767875968562e-17,
    6.637638134358324e-15,
    -4.054566272975207e-14,
    -8.151934197605472e-14,
    2.6335093153082323e-12,
    -1.2975133253453532e-11,
    -5.415412054294628e-11,
    1.0512122733215323e-9,
    -4.112633980346984e-9,
    -2.9070369957882005e-8,
    4.2347877827932404e-7,
    -1.3654692000834679e-6,
    -1.3882523362786469e-5,
    0.00018673420803405714,
    -0.000740702534166267,
    -0.006033670871430149,
    0.24015818242558962,
    1.6536545626831027,
];

/// For w < 16, in √w − 3.25.
const SIDE: [f64; 19] = [
    2.2137376921775787e-9,
    9.075656193888539e-8,
    -2.7517406297064545e-7,
    1.8239629214389228e-8,
    1.5027403968909828e-6,
    -4.013867526981546e-6,
    2.9234449089955446e-6,
    1.2475304481671779e-5,
    -4.7318229009055734e-5,
    6.828485145957318e-5,
    2.4031110387097894e-5,
    -0.0003550375203628475,
    0.0009532893797373805,
    -0.0016882755560235047,
    0.002491442096107851,
    -0.003751208507569241,
    0.005370914553590064,
    1.0052589676941592,
    3.0838856104922208,
];

/// Beyond, in √w − 5.
const TAIL: [f64; 17] = [
    -2.7109920616438573e-11,
    -2.555641816996525e-10,
    1.5076572693500548e-9,
    -3.789465440126737e-9,
    7.61570120807834e-9,
    -1.496002662714924e-8,
    2.914795345090108e-8,
    -6.771199775845234e-8,
    2.2900482228026655e-7,
    -9.9298272942317e-7,
    4.526062597223154e-6,
    -1.968177810553167e-5,
    7.599527703001776e-5,
    -0.00021503011930044477,
    -0.00013871931833623122,
    1.0103004648645344,
    4.849906401408584,
];

/// The value that a standard normal variable stays below with this probability; `None` outside 0 to 1.
pub(super) fn quantile(probability: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&probability) {
        return None;
    }
    Some(SQRT_2 * inverse_error(2.0 * probability - 1.0))
}

fn inverse_error(value: f64) -> f64 {
    if value.abs() == 1.0 {
        return value * f64::INFINITY;
    }
    let w = -((1.0 - value) * (1.0 + value)).ln();
    let factor = if w < 6.25 {
        polynomial(&CENTRE, w - 3.125)
    } else if w < 16.0 {
        polynomial(&SIDE, w.sqrt() - 3.25)
    } else {
        polynomial(&TAIL, w.sqrt() - 5.0)
    };
    factor * value
}

fn polynomial(coefficients: &[f64], at: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, coefficient| coefficient + sum * at)
}

#[cfg(test)]
mod tests {
    use super::quantile;

    fn check(confidence: f64, bits: u64) {
        let got = quantile((1.0 - confidence) / 2.0).unwrap();
        assert_eq!(
            got.to_bits(),
            bits,
            "{confidence}: {got:?} instead of {:?}",
            f64::from_bits(bits)
        );
    }

    #[test]
    fn quantiles_of_the_usual_levels_are_kayentas_to_the_bit() {
        check(0.98, 0xC002_9C5C_4630_FF0F);
        check(0.95, 0xBFFF_5C03_31EE_FF84);
        check(0.90, 0xBFFA_5152_0967_6ABF);
        check(0.99, 0xC004_9B4C_64D6_9160);
    }

    #[test]
    fn quantiles_are_odd_around_one_half() {
        assert_eq!(quantile(0.5), Some(0.0));
        for step in 1..1024 {
            let probability = f64::from(step) / 2048.0;
            assert_eq!(quantile(probability).unwrap(), -quantile(1.0 - probability).unwrap());
        }
    }

    #[test]
    fn quantiles_rise_across_the_borders_of_the_three_ranges() {
        let mut last = f64::NEG_INFINITY;
        for step in 0..=6000 {
            let next = quantile(10_f64.powf(f64::from(step) / 20.0 - 300.3)).unwrap();
            assert!(next >= last, "{next} after {last}");
            last = next;
        }
    }

    #[test]
    fn certainty_is_infinite_and_no_probability_has_no_quantile() {
        assert_eq!(quantile(0.0), Some(f64::NEG_INFINITY));
        assert_eq!(quantile(1.0), Some(f64::INFINITY));
        for wrong in [-0.1, 1.1, f64::NAN] {
            assert_eq!(quantile(wrong), None);
        }
    }
}
