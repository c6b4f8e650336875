//! `--cells PART;PART --runs N --threads N --seed N --check`: cells are chosen by a part of their table's or their own name.

/// What is asked.
#[derive(Debug)]
pub(crate) struct Arguments {
    cells: Vec<String>,
    /// Simulated canaries a cell.
    pub(crate) runs: usize,
    /// At once; as many as there are cores when not said. It changes no number.
    pub(crate) threads: Option<usize>,
    pub(crate) seed: u64,
    /// Whether a broken bound is a failure.
    pub(crate) check: bool,
}

const USAGE: &str = "usage: judge_bench [--cells PART;PART…] [--runs N] [--threads N] [--seed N] [--check]";

impl Arguments {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            cells: Vec::new(),
            runs: 1000,
            threads: None,
            seed: 20_261_121,
            check: false,
        };
        // Cargo passes `--bench` to every bench.
        let mut words = words.filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value; {USAGE}"));
            match word.as_str() {
                "--cells" => arguments
                    .cells
                    .extend(value()?.split(';').map(|part| part.trim().to_lowercase())),
                "--runs" => arguments.runs = number(&value()?)? as usize,
                "--threads" => arguments.threads = Some((number(&value()?)? as usize).max(1)),
                "--seed" => arguments.seed = number(&value()?)?,
                "--check" => arguments.check = true,
                other => return Err(format!("{other} is not known; {USAGE}")),
            }
        }
        Ok(arguments)
    }

    pub(crate) fn wants(&self, table: &str, cell: &str) -> bool {
        let name = format!("{table}: {cell}").to_lowercase();
        self.cells.is_empty() || self.cells.iter().any(|part| name.contains(part.as_str()))
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no whole number; {USAGE}"))
}
