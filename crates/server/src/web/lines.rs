//! Both arms in one picture of SVG, drawn by the server: over time, or by the edges of a distribution. The baseline is a
//! dashed line and the canary a solid one, so that the colour is not needed to tell them apart.

use arya_judge::{AboveEdge, CoursePoint, MetricKind, Unit};
use askama::Template;

use super::words;

const LEFT: f64 = 84.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 164.0;
/// Shares below one in ten thousand are drawn as that: nothing is read off there.
const SMALLEST_SHARE: f64 = 1e-4;
/// Words along an axis that stand closer than this would be printed over each other.
const APART: f64 = 64.0;

/// One picture.
#[derive(Debug, Clone, PartialEq, Template)]
#[template(path = "lines.html")]
pub(crate) struct Lines {
    /// Said to people who do not see it.
    pub(crate) summary: String,
    pub(crate) rows: Vec<Tick>,
    pub(crate) columns: Vec<Tick>,
    /// Pieces of a line, as lists of points: where nothing was measured there is a gap.
    pub(crate) baseline: Vec<String>,
    pub(crate) canary: Vec<String>,
}

// Its template escapes by itself.
impl askama::filters::HtmlSafe for Lines {}

/// A mark on an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) at: String,
    pub(crate) word: String,
    pub(crate) anchor: &'static str,
}

/// How a metric's numbers are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) kind: MetricKind,
    pub(crate) unit: Unit,
}

impl Scale {
    fn word(self, number: f64) -> String {
        match self.kind {
            MetricKind::ErrorShare => words::percent(100.0 * number),
            MetricKind::EventRate => format!("{}/min", words::factor(60.0 * number)),
            MetricKind::Histogram | MetricKind::Gauge | MetricKind::Leak => self.unit.in_words(number),
        }
    }
}

impl Lines {
    /// Both arms over time; `None` without a point. A single one, as when a canary is caught by its first span, is a
    /// level across the picture.
    pub(crate) fn over_time(points: &[CoursePoint], scale: Scale) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let single = points.len() == 1;
        let span = words::seconds_between(first.at, last.at).max(1.0);
        let values = || points.iter().flat_map(|point| [point.baseline, point.canary]).flatten();
        let (low, high) = range(values(), scale.kind)?;
        let x = |point: &CoursePoint| LEFT + (RIGHT - LEFT) * words::seconds_between(first.at, point.at) / span;
        let y = |value: f64| BOTTOM - (BOTTOM - TOP) * ((value - low) / (high - low)).clamp(0.0, 1.0);
        let line = |of: fn(&CoursePoint) -> Option<f64>| {
            let drawn = |p, x| of(p).filter(|v| v.is_finite()).map(|v| (x, y(v)));
            if single {
                pieces([LEFT, RIGHT].into_iter().map(|x| drawn(first, x)))
            } else {
                pieces(points.iter().map(|p| drawn(p, x(p))))
            }
        };
        let row = |part: f64| Tick::row(y(low + part * (high - low)), scale.word(low + part * (high - low)));
        let column = |(part, anchor): (f64, &'static str)| Tick {
            at: coordinate(LEFT + part * (RIGHT - LEFT)),
            word: if part < 1.0 {
                format!("{} ago", words::duration(span * (1.0 - part)))
            } else {
                words::clock(last.at)
            },
            anchor,
        };
        let now = |value: Option<f64>| value.map_or_else(|| "nothing".to_owned(), |value| scale.word(value));
        let over = if single {
            "in a single span".to_owned()
        } else {
            format!("over {}", words::duration(span))
        };
        Some(Self {
            summary: format!(
                "Both arms {over}; last the canary measured {} and the baseline {}.",
                now(last.canary),
                now(last.baseline)
            ),
            rows: [0.0, 0.5, 1.0].map(row).to_vec(),
            columns: [(0.0, "start"), (1.0, "end")]
                .into_iter()
                .skip(usize::from(single))
                .map(column)
                .collect(),
            baseline: line(|point| point.baseline),
            canary: line(|point| point.canary),
        })
    }

    /// The share of requests above each edge, of both arms; `None` with fewer than two edges.
    pub(crate) fn above_edges(above: &[AboveEdge], scale: Scale) -> Option<Self> {
        // Where nobody is above an edge there is nothing more to see.
        let used = above
            .iter()
            .take_while(|line| line.baseline > 0.0 || line.canary > 0.0)
            .count()
            + 1;
        let above = &above[..used.min(above.len())];
        let [first, .., last] = above else { return None };
        let span = (last.edge / first.edge).ln().max(1e-9);
        let x = |edge: f64| LEFT + (RIGHT - LEFT) * (edge / first.edge).ln() / span;
        let y = |share: f64| TOP + (BOTTOM - TOP) * share.clamp(SMALLEST_SHARE, 1.0).ln() / SMALLEST_SHARE.ln();
        let line = |of: fn(&AboveEdge) -> f64| pieces(above.iter().map(|line| Some((x(line.edge), y(of(line))))));
        let row = |share: f64| Tick::row(y(share), words::percent(100.0 * share));
        let mut columns: Vec<Tick> = Vec::new();
        let mut free_from = f64::NEG_INFINITY;
        for line in above {
            let at = x(line.edge);
            if at >= free_from {
                let anchor = if at > RIGHT - APART / 2.0 { "end" } else { "middle" };
                columns.push(Tick {
                    at: coordinate(at),
                    word: scale.word(line.edge),
                    anchor,
                });
                free_from = at + APART;
            }
        }
        let widest = above.iter().max_by(|a, b| difference(a).total_cmp(&difference(b)))?;
        Some(Self {
            summary: format!(
                "The share of requests above each edge; furthest apart above {}: {} of the canary's, {} of the baseline's.",
                scale.word(widest.edge),
                words::percent(100.0 * widest.canary),
                words::percent(100.0 * widest.baseline)
            ),
            rows: [1.0, 0.1, 0.01, 0.001, SMALLEST_SHARE].map(row).to_vec(),
            columns,
            baseline: line(|line| line.baseline),
            canary: line(|line| line.canary),
        })
    }
}

impl Tick {
    fn row(y: f64, word: String) -> Self {
        Self {
            at: coordinate(y),
            word,
            anchor: "end",
        }
    }
}

fn difference(line: &AboveEdge) -> f64 {
    (line.canary - line.baseline).abs()
}

/// The axis: from nothing for what is counted, around the values for levels.
fn range(values: impl Iterator<Item = f64>, kind: MetricKind) -> Option<(f64, f64)> {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return None;
    }
    let from = match kind {
        MetricKind::ErrorShare | MetricKind::EventRate | MetricKind::Histogram => 0.0_f64.min(low),
        MetricKind::Gauge | MetricKind::Leak => low - 0.1 * (high - low),
    };
    let span = (high - from).max(1e-9 * high.abs().max(1e-9));
    Some((from, from + 1.08 * span))
}

/// Lists of points without gaps. A single point between two gaps is drawn as a short dash.
fn pieces(points: impl Iterator<Item = Option<(f64, f64)>>) -> Vec<String> {
    let mut pieces: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    for point in points {
        match (point, pieces.last_mut()) {
            (Some(point), Some(piece)) => piece.push(point),
            (None, Some(piece)) if !piece.is_empty() => pieces.push(Vec::new()),
            (None | Some(_), _) => {}
        }
    }
    let written = |piece: &Vec<(f64, f64)>| {
        let again = piece.first().filter(|_| piece.len() == 1).map(|(x, y)| (x + 2.0, *y));
        let all = piece.iter().copied().chain(again);
        all.map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
    };
    pieces.iter().filter(|piece| !piece.is_empty()).map(written).collect()
}

fn coordinate(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Scale = Scale {
        kind: MetricKind::Histogram,
        unit: Unit::Seconds,
    };

    fn points(values: &[(Option<f64>, Option<f64>)]) -> Vec<CoursePoint> {
        let point = |(place, (baseline, canary)): (usize, &(Option<f64>, Option<f64>))| CoursePoint {
            at: arya_judge::Timestamp::from_second(1_800_000_000 + 5 * place as i64).unwrap(),
            baseline: *baseline,
            canary: *canary,
        };
        values.iter().enumerate().map(point).collect()
    }

    #[test]
    fn silence_is_a_gap_in_the_line() {
        let known = points(&[(Some(0.1), Some(0.2)), (Some(0.1), None), (Some(0.1), Some(0.2))]);
        let lines = Lines::over_time(&known, TIME).unwrap();
        assert_eq!((lines.baseline.len(), lines.canary.len()), (1, 2));
        assert!(
            lines.summary.contains("the canary measured 200 ms"),
            "{}",
            lines.summary
        );
    }

    #[test]
    fn a_single_span_is_a_level_across() {
        let lines = Lines::over_time(&points(&[(Some(0.1), Some(0.2))]), TIME).unwrap();
        assert_eq!(
            (lines.baseline, lines.columns.len()),
            (vec!["84.0,93.6 700.0,93.6".to_owned()], 1)
        );
        assert!(lines.summary.contains("in a single span"), "{}", lines.summary);
    }

    #[test]
    fn no_point_is_no_line_and_silence_no_axis() {
        assert_eq!(Lines::over_time(&[], TIME), None);
        assert_eq!(Lines::over_time(&points(&[(None, None), (None, None)]), TIME), None);
        assert_eq!(Lines::above_edges(&[], TIME), None);
    }

    #[test]
    fn numbers_that_are_none_do_not_reach_the_picture() {
        let known = points(&[(Some(f64::NAN), Some(0.0)), (Some(0.0), Some(0.0))]);
        let text = Lines::over_time(&known, TIME).unwrap().render().unwrap();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }

    #[test]
    fn the_edge_where_the_arms_differ_most_is_told() {
        let line = |edge, baseline, canary| AboveEdge { edge, baseline, canary };
        let above = [
            line(0.01, 0.9, 0.95),
            line(0.1, 0.1, 0.6),
            line(1.0, 0.0, 0.01),
            line(10.0, 0.0, 0.0),
        ];
        let lines = Lines::above_edges(&above, TIME).unwrap();
        assert!(
            lines.summary.contains("above 100 ms: 60 % of the canary's, 10 %"),
            "{}",
            lines.summary
        );
        assert_eq!(lines.columns.len(), 4);
    }
}
