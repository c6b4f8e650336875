//! Several metrics, one error rate (S4): averages of evidence are evidence, whatever the metrics have in common.

use super::grid::log_sum_exp;

/// The part of the bet on each metric: half is shared by the critical ones, half by the rest. They sum to one.
pub fn weights(critical: &[bool]) -> Vec<f64> {
    let count = |which: bool| critical.iter().filter(|one| **one == which).count();
    let class = if count(true) == 0 || count(false) == 0 {
        1.0
    } else {
        0.5
    };
    critical.iter().map(|one| class / count(*one) as f64).collect()
}

/// Logarithm of the weighted average: the evidence that something is worse.
pub fn global(log_es: &[f64], weights: &[f64]) -> f64 {
    let terms: Vec<f64> = log_es
        .iter()
        .zip(weights)
        .map(|(log_e, weight)| log_e + weight.ln())
        .collect();
    log_sum_exp(&terms) - weights.iter().sum::<f64>().ln()
}

/// Closed testing: the evidence against each metric that no set of metrics it belongs to can explain away.
///
/// The smallest weighted average over all sets that contain the metric; it is found by adding the others from the
/// weakest upward.
pub fn adjusted(log_es: &[f64], weights: &[f64]) -> Vec<f64> {
    (0..log_es.len())
        .map(|own| adjusted_one(own, log_es, weights))
        .collect()
}

/// The same for one metric.
pub fn adjusted_one(own: usize, log_es: &[f64], weights: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..log_es.len()).filter(|other| *other != own).collect();
    order.sort_by(|a, b| log_es[*a].total_cmp(&log_es[*b]));
    let (mut sum, mut weight) = (weights[own].ln() + log_es[own], weights[own]);
    let mut least = sum - weight.ln();
    for other in order {
        sum = log_sum_exp(&[sum, weights[other].ln() + log_es[other]]);
        weight += weights[other];
        least = least.min(sum - weight.ln());
    }
    least
}

/// The metrics of a long report that are likely worse: e-BH, whose expected share of wrong names is at most `alpha`
/// whatever the metrics have in common. Indices, rising.
pub fn likely(log_es: &[f64], alpha: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..log_es.len()).collect();
    // A stable sort, so that of equals the earlier is named.
    order.sort_by(|a, b| log_es[*b].total_cmp(&log_es[*a]));
    let count = log_es.len() as f64;
    let reaches = |rank: &usize| log_es[order[rank - 1]] >= (count / (*rank as f64 * alpha)).ln();
    let named = (1..=order.len()).rev().find(reaches).unwrap_or(0);
    order.truncate(named);
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_metrics_share_half() {
        assert_eq!(weights(&[true, false, false]), [0.5, 0.25, 0.25]);
    }

    #[test]
    fn metrics_of_one_class_share_everything() {
        assert_eq!(weights(&[false, false]), [0.5, 0.5]);
        assert_eq!(weights(&[true]), [1.0]);
    }

    #[test]
    fn one_metric_keeps_its_evidence() {
        assert_eq!(adjusted(&[4.2], &[1.0]), [4.2]);
    }

    #[test]
    fn silent_neighbours_weaken_evidence_by_their_weight() {
        let both = adjusted(&[10.0, f64::NEG_INFINITY], &[0.5, 0.5]);
        assert!((both[0] - (10.0 - 2f64.ln())).abs() < 1e-9, "{both:?}");
    }

    #[test]
    fn likely_metrics_are_few_of_many() {
        let log_es: Vec<f64> = (0..40).map(|i| if i < 3 { 7.0 } else { 0.0 }).collect();
        assert_eq!(likely(&log_es, 0.05), [0, 1, 2]);
        assert!(likely(&[], 0.05).is_empty());
    }

    #[test]
    fn strong_neighbours_do_not_name_a_weak_metric() {
        let both = adjusted(&[0.0, 50.0], &[0.5, 0.5]);
        assert_eq!(both[0], 0.0);
        assert!(global(&[0.0, 50.0], &[0.5, 0.5]) > 49.0);
    }
}
