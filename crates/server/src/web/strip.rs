//! One metric's interval as a strip of SVG: the canary as a multiple of the baseline, around "the same" and the margin. The
//! same ratio always lies as far to the right as its inverse to the left.

use askama::Template;

use super::words;

const WIDTH: f64 = 320.0;
const CENTRE: f64 = WIDTH / 2.0;
/// Half of the axis; the rest is for the words at its ends.
const REACH: f64 = 148.0;
/// The axis shows at least a fifth more or less, and at most eight times: beyond, nobody decides differently.
const LEAST: f64 = 1.2;
const MOST: f64 = 8.0;
/// Words closer than this would be printed over each other.
const APART: f64 = 56.0;

/// One strip.
#[derive(Debug, Clone, PartialEq, Template)]
#[template(path = "strip.html")]
pub(crate) struct Strip {
    /// Said to people who do not see it.
    pub(crate) summary: String,
    pub(crate) margin: Option<Margin>,
    pub(crate) band_x: String,
    pub(crate) band_width: String,
    /// Whether the interval goes on beyond the axis.
    pub(crate) more_left: bool,
    pub(crate) more_right: bool,
    pub(crate) tip_x: String,
    pub(crate) low_word: String,
    pub(crate) high_word: String,
}

// Its template escapes by itself.
impl askama::filters::HtmlSafe for Strip {}

/// The margin, and the side beyond it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Margin {
    pub(crate) x: String,
    pub(crate) side_x: String,
    pub(crate) side_width: String,
    pub(crate) word: String,
    /// Whether its word has room beside "same".
    pub(crate) word_fits: bool,
}

impl Strip {
    /// `None` without an estimate.
    pub(crate) fn of(
        ratio: Option<f64>,
        (lower, upper): (f64, Option<f64>),
        margin: Option<f64>,
        said: &str,
    ) -> Option<Self> {
        let ratio = ratio.filter(|ratio| ratio.is_finite())?;
        let margin = margin.filter(|margin| *margin > 0.0 && margin.is_finite());
        let far = |value: f64| if value > 0.0 { value.max(1.0 / value) } else { MOST };
        let inside = [Some(ratio), Some(lower), upper, margin.map(|margin| margin * margin)];
        let reach = inside.into_iter().flatten().map(far).fold(LEAST, f64::max).min(MOST) * 1.02;
        let x = |value: f64| {
            let value = if value > 0.0 { value } else { 1.0 / reach };
            CENTRE + REACH * (value.ln() / reach.ln()).clamp(-1.0, 1.0)
        };
        let (left, right) = (x(lower), upper.map_or(CENTRE + REACH, x));
        Some(Self {
            summary: said.to_owned(),
            margin: margin.map(|margin| Margin::of(margin, x(margin))),
            band_x: coordinate(left),
            band_width: coordinate((right - left).max(2.0)),
            more_left: lower < 1.0 / reach,
            more_right: upper.is_none_or(|upper| upper > reach),
            tip_x: coordinate(x(ratio)),
            low_word: format!("{} ×", words::factor(1.0 / reach)),
            high_word: format!("{} ×", words::factor(reach)),
        })
    }
}

impl Margin {
    fn of(margin: f64, x: f64) -> Self {
        let (from, to) = if margin >= 1.0 { (x, WIDTH) } else { (0.0, x) };
        Self {
            x: coordinate(x),
            side_x: coordinate(from),
            side_width: coordinate(to - from),
            word: format!("margin {} ×", words::factor(margin)),
            word_fits: (x - CENTRE).abs() >= APART / 2.0,
        }
    }
}

fn coordinate(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(ratio: f64, interval: (f64, Option<f64>), margin: f64) -> Strip {
        Strip::of(Some(ratio), interval, Some(margin), "said").unwrap()
    }

    fn number(text: &str) -> f64 {
        text.parse().unwrap()
    }

    #[test]
    fn without_an_estimate_there_is_no_strip() {
        assert_eq!(Strip::of(None, (0.0, None), Some(1.5), ""), None);
        assert_eq!(Strip::of(Some(f64::NAN), (0.0, None), Some(1.5), ""), None);
    }

    #[test]
    fn the_same_lies_in_the_middle_and_the_margin_on_the_worse_side() {
        let up = strip(1.0, (0.8, Some(1.25)), 1.5);
        assert_eq!(number(&up.tip_x), CENTRE);
        assert!(number(&up.margin.unwrap().x) > CENTRE);
        let down = strip(1.0, (0.8, Some(1.25)), 0.5);
        let margin = down.margin.unwrap();
        assert!(number(&margin.x) < CENTRE);
        assert_eq!(number(&margin.side_x), 0.0);
    }

    #[test]
    fn what_is_not_bounded_goes_to_the_end_and_says_so() {
        let open = strip(3.0, (0.0, None), 1.5);
        assert!(open.more_left && open.more_right);
        assert_eq!(number(&open.band_x) + number(&open.band_width), CENTRE + REACH);
        let far = strip(200.0, (90.0, Some(400.0)), 1.5);
        assert!(far.more_right && !far.more_left);
        assert!(number(&far.band_width) >= 2.0);
    }
}
