//! The chart of one metric as SVG: the canary's rate as a multiple of the baseline's, with its interval, on a
//! logarithmic axis around "the same". Geometry only; colours are classes in `app.css`. Needs no script.

use arya_judge::TrackPoint;
use askama::Template;

use super::words;

const LEFT: f64 = 64.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 214.0;
/// The axis never shows less than an eighth or more than 32 times: beyond, nobody decides differently.
const LEAST: f64 = 0.125;
const MOST: f64 = 32.0;
/// Words at the right edge that stand closer than this would be printed over each other.
const APART: f64 = 15.0;

/// One chart.
#[derive(Debug, Clone, PartialEq, Template)]
#[template(path = "chart.html")]
pub(crate) struct Chart {
    /// Said to people who do not see it.
    pub(crate) summary: String,
    pub(crate) ticks: Vec<Tick>,
    pub(crate) times: Vec<Tick>,
    pub(crate) equal_y: String,
    pub(crate) margin_y: String,
    pub(crate) margin_word: String,
    pub(crate) margin_word_y: String,
    /// The side beyond the margin.
    pub(crate) harm_y: String,
    pub(crate) harm_height: String,
    pub(crate) band: String,
    pub(crate) estimate: String,
    pub(crate) tip_x: String,
    pub(crate) tip_y: String,
}

// Its template escapes by itself.
impl askama::filters::HtmlSafe for Chart {}

/// A mark on an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) at: String,
    pub(crate) word: String,
    pub(crate) minor: bool,
}

struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn around(points: &[TrackPoint], margin: f64) -> Self {
        let (mut low, mut high) = ((margin / 1.5).min(0.5), (margin * 1.5).max(2.0));
        for point in points.iter().filter(|point| point.estimate.is_finite()) {
            low = low.min(point.lower).min(point.estimate);
            high = high.max(point.upper.unwrap_or(MOST)).max(point.estimate);
        }
        Self {
            low: low.clamp(LEAST, 0.5),
            high: high.clamp(2.0, MOST),
        }
    }

    fn y(&self, ratio: f64) -> f64 {
        let ratio = if ratio.is_nan() { 1.0 } else { ratio };
        let part = (ratio.clamp(self.low, self.high) / self.low).ln() / (self.high / self.low).ln();
        BOTTOM - part * (BOTTOM - TOP)
    }
}

impl Chart {
    /// `None` with fewer than two points: there is no line to draw.
    pub(crate) fn of(points: &[TrackPoint], margin: f64) -> Option<Self> {
        let ([first, .., last], true) = (points, margin > 0.0) else {
            return None;
        };
        let span = words::seconds_between(first.at, last.at).max(1.0);
        let axis = Axis::around(points, margin);
        let x = |point: &TrackPoint| LEFT + (RIGHT - LEFT) * words::seconds_between(first.at, point.at) / span;
        let at = |point: &TrackPoint, ratio: f64| format!("{:.1},{:.1}", x(point), axis.y(ratio));
        let upper = points.iter().map(|p| at(p, p.upper.unwrap_or(MOST)));
        let lower = points.iter().rev().map(|p| at(p, p.lower));
        let margin_y = axis.y(margin);
        Some(Self {
            summary: summary(last, margin),
            ticks: ticks(&axis),
            times: times(first, last, span),
            equal_y: coordinate(axis.y(1.0)),
            margin_y: coordinate(margin_y),
            margin_word: format!("margin {} ×", words::factor(margin)),
            margin_word_y: coordinate(margin_y - 6.0),
            harm_y: coordinate(if margin >= 1.0 { TOP } else { margin_y }),
            harm_height: coordinate(if margin >= 1.0 {
                margin_y - TOP
            } else {
                BOTTOM - margin_y
            }),
            band: upper.chain(lower).collect::<Vec<_>>().join(" "),
            estimate: points.iter().map(|p| at(p, p.estimate)).collect::<Vec<_>>().join(" "),
            tip_x: coordinate(x(last)),
            tip_y: coordinate(axis.y(last.estimate)),
        })
    }
}

fn coordinate(value: f64) -> String {
    format!("{value:.1}")
}

fn summary(last: &TrackPoint, margin: f64) -> String {
    let upper = last.upper.map_or_else(|| "not bounded yet".to_owned(), words::factor);
    format!(
        "The canary's rate is estimated at {} times the baseline's, between {} and {upper}; the margin is {}.",
        words::factor(last.estimate),
        words::factor(last.lower),
        words::factor(margin)
    )
}

fn ticks(axis: &Axis) -> Vec<Tick> {
    let all = [
        (0.125, "⅛ ×"),
        (0.25, "¼ ×"),
        (0.5, "½ ×"),
        (1.0, "same"),
        (2.0, "2 ×"),
        (4.0, "4 ×"),
        (8.0, "8 ×"),
        (16.0, "16 ×"),
        (32.0, "32 ×"),
    ];
    let mut last_y = f64::INFINITY;
    let mut ticks = Vec::new();
    for (ratio, word) in all
        .into_iter()
        .filter(|(ratio, _)| (axis.low..=axis.high).contains(ratio))
    {
        let y = axis.y(ratio);
        // "Same" is always there; others only where their words have room.
        if word == "same" || last_y - y >= APART {
            ticks.push(Tick {
                at: coordinate(y),
                word: word.to_owned(),
                minor: word != "same" && ratio != 2.0,
            });
            last_y = y;
        }
    }
    ticks
}

/// Start, middle and end.
fn times(first: &TrackPoint, last: &TrackPoint, span: f64) -> Vec<Tick> {
    let label = |part: f64| {
        let seconds = span * (1.0 - part);
        if part < 1.0 {
            format!("{} ago", words::duration(seconds))
        } else {
            words::clock(last.at)
        }
    };
    debug_assert!(first.at <= last.at, "points are in the order of time");
    [(0.0, false), (0.5, true), (1.0, false)]
        .into_iter()
        .map(|(part, minor)| Tick {
            at: coordinate(LEFT + part * (RIGHT - LEFT)),
            word: label(part),
            minor,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(second: i64, estimate: f64, lower: f64, upper: Option<f64>) -> TrackPoint {
        let at = arya_judge::Timestamp::from_second(1_800_000_000 + second).unwrap();
        TrackPoint {
            at,
            estimate,
            lower,
            upper,
            log_e: 0.0,
        }
    }

    #[test]
    fn one_point_is_no_line() {
        assert_eq!(Chart::of(&[point(0, 1.0, 0.5, None)], 1.5), None);
        assert_eq!(Chart::of(&[], 1.5), None);
    }

    #[test]
    fn an_unbounded_interval_ends_at_the_top_of_the_axis() {
        let chart = Chart::of(&[point(0, 1.0, 0.0, None), point(5, 1.2, 0.4, None)], 1.5).unwrap();
        assert!(chart.band.starts_with("64.0,12.0"), "{}", chart.band);
        assert!(chart.summary.contains("not bounded yet"));
    }

    #[test]
    fn the_margin_lies_above_the_line_of_no_difference() {
        let chart = Chart::of(&[point(0, 1.0, 0.5, Some(2.0)), point(5, 1.0, 0.8, Some(1.3))], 1.5).unwrap();
        let y = |text: &str| text.parse::<f64>().unwrap();
        assert!(y(&chart.margin_y) < y(&chart.equal_y));
    }

    #[test]
    fn where_less_is_worse_harm_lies_below_the_margin() {
        let chart = Chart::of(&[point(0, 1.0, 0.5, Some(2.0)), point(5, 1.0, 0.8, Some(1.3))], 0.5).unwrap();
        let y = |text: &str| text.parse::<f64>().unwrap();
        assert!(y(&chart.margin_y) > y(&chart.equal_y));
        assert_eq!(chart.harm_y, chart.margin_y);
    }

    #[test]
    fn numbers_that_are_none_do_not_reach_the_picture() {
        let chart = Chart::of(
            &[point(0, f64::NAN, 0.5, Some(2.0)), point(5, f64::INFINITY, 0.0, None)],
            1.5,
        )
        .unwrap();
        assert!(!chart.render().unwrap().contains("inf"));
    }
}
