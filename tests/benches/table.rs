//! What was measured, as a table: what, the bound, what was seen.

use std::fmt;

#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    bound: String,
    seen: String,
    verdict: &'static str,
}

impl Table {
    pub(crate) fn at_least(&mut self, what: &str, bound: f64, seen: f64, unit: &str, remark: &str) {
        self.row(what, format!("≥ {bound}{unit}"), (seen, unit, remark), seen >= bound);
    }

    pub(crate) fn at_most(&mut self, what: &str, bound: f64, seen: f64, unit: &str, remark: &str) {
        self.row(what, format!("≤ {bound}{unit}"), (seen, unit, remark), seen <= bound);
    }

    /// A figure without a bound.
    pub(crate) fn seen(&mut self, what: &str, seen: String) {
        self.push(Row {
            what: what.to_owned(),
            bound: "–".to_owned(),
            seen,
            verdict: "",
        });
    }

    pub(crate) fn all_kept(&self) -> bool {
        self.rows.iter().all(|row| row.verdict != BROKEN)
    }

    fn row(&mut self, what: &str, bound: String, (seen, unit, remark): (f64, &str, &str), kept: bool) {
        let digits = if seen.abs() < 100.0 { 2 } else { 0 };
        let remark = if remark.is_empty() {
            String::new()
        } else {
            format!(" ({remark})")
        };
        self.push(Row {
            what: what.to_owned(),
            bound,
            seen: format!("{seen:.digits$}{unit}{remark}"),
            verdict: if kept { "kept" } else { BROKEN },
        });
    }

    fn push(&mut self, row: Row) {
        println!("   {}: {} {}", row.what, row.seen, row.verdict);
        self.rows.push(row);
    }
}

const BROKEN: &str = "BROKEN";

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | bound | seen | |\n|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(f, "| {} | {} | {} | {} |", row.what, row.bound, row.seen, row.verdict)?;
        }
        Ok(())
    }
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this part of them lies, 0 to 1.
pub(crate) fn quantile(values: impl IntoIterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}
