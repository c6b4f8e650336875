//! What makes Kayenta give up a whole judgement: nothing is scored, not even the metrics that are in order.

/// Why there is no judgement. Each names the metric and the option, so that the text leads to the line to change.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Abort {
    /// The configuration asks for a judge that is not here.
    #[error("the configuration asks for the judge `{name}`; the only one here is `{known}`", known = super::JUDGE_NAME)]
    UnknownJudge {
        /// As written under `judge.name`.
        name: String,
    },
    /// Data came for a name that no metric of the configuration has.
    #[error("there are data for the metric `{metric}`, but the configuration has no metric of that name")]
    UnknownMetric {
        /// The name in the data.
        metric: String,
    },
    /// An option of the wrong JSON type.
    #[error("metric `{metric}`, option `{option}`: {found} stands where {expected} is needed")]
    WrongType {
        /// The metric's name.
        metric: String,
        /// Path below `analysisConfigurations.canary`.
        option: String,
        /// What stands there.
        found: String,
        /// What can be read.
        expected: &'static str,
    },
    /// A text option that is explicitly `null`; left out it would have had a default.
    #[error("metric `{metric}`, option `{option}`: null stands where a text is needed; leave the option out instead")]
    NullText {
        /// The metric's name.
        metric: String,
        /// Path below `analysisConfigurations.canary`.
        option: String,
    },
    /// Outlier removal with a factor that is not above 0.
    #[error(
        "metric `{metric}`, option `outliers.outlierFactor`: it is {factor} and must be above 0 to remove outliers"
    )]
    OutlierFactor {
        /// The metric's name.
        metric: String,
        /// The factor read.
        factor: f64,
    },
    /// `groups` is missing. An empty list would do.
    #[error("metric `{metric}`: `groups` is missing; an empty list leaves the metric out of every group")]
    NoGroups {
        /// The metric's name.
        metric: String,
    },
    /// `classifier` is missing. An empty object would do.
    #[error("the configuration has no `classifier`; `{{\"groupWeights\": {{}}}}` weighs all groups alike")]
    NoClassifier,
    /// A group weight is `null`.
    #[error("`classifier.groupWeights`: the weight of `{group}` is null")]
    NoWeight {
        /// The group's name.
        group: String,
    },
    /// A threshold is missing or `null`.
    #[error("`thresholds.{which}` is missing")]
    NoThreshold {
        /// `pass` or `marginal`.
        which: &'static str,
    },
    /// A side's values are missing or `null`. An empty list would do.
    #[error("metric `{metric}`: `{side}` is missing; an empty list stands for no data")]
    NoValues {
        /// The metric's name.
        metric: String,
        /// `controlValues` or `experimentValues`.
        side: &'static str,
    },
}
