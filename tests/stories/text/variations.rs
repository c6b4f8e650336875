//! A script lived again in every way that a sentence like *at any moment* means. Each life must come to the same end.

use arya_local::world::{At, CallKind, Fault, FaultKind};

use crate::ending::ending;
use crate::script::{Line, What};
use crate::telling::Telling;

/// In which ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variation {
    /// The server dies before or after each call that it makes.
    Deaths,
    /// Each call is not answered, once.
    LostAnswers,
    /// Everything is destroyed before each look that is taken.
    Destroys,
}

impl Variation {
    const ALL: [(&str, Self); 3] = [
        ("whichever call the server dies in", Self::Deaths),
        ("whichever answer is lost", Self::LostAnswers),
        ("whenever ana destroys", Self::Destroys),
    ];

    pub(crate) fn of(words: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == words).map(|(_, it)| *it)
    }

    fn words(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, it)| *it == self)
            .map_or("", |(words, _)| *words)
    }

    /// Lives all variants of what was `told`; the line that says so, or the first that ends otherwise.
    pub(crate) fn live(self, lines: &[Line], told: &Telling, end: &[String]) -> Result<String, String> {
        // What is claimed on the way is claimed of the life as it is written.
        let lines: Vec<Line> = lines
            .iter()
            .filter(|line| !matches!(line.what, What::Then { .. }))
            .cloned()
            .collect();
        let variants = self.variants(told);
        for (fault, cut_before) in &variants {
            let mut telling = Telling::new(&lines, fault.iter().copied().collect());
            telling.cut_before = *cut_before;
            let lived = telling.play(&lines).and_then(|()| ending(&telling));
            let problem = match lived {
                Ok(found) if found == end => continue,
                Ok(found) => format!("it ends otherwise:\n{}", found.join("\n")),
                Err(problem) => problem,
            };
            let feed = telling.feed.join("\n");
            return Err(format!(
                "with {fault:?}, destroyed before look {cut_before:?}: {problem}\n{feed}"
            ));
        }
        Ok(format!("The same {}: {} lives.", self.words(), variants.len()))
    }

    fn variants(self, told: &Telling) -> Vec<(Option<Fault>, Option<u32>)> {
        let kinds = |call: CallKind| match (self, call.is_step()) {
            (Self::Deaths, true) => vec![FaultKind::DiesBefore, FaultKind::DiesAfter],
            (Self::Deaths, false) => vec![FaultKind::DiesBefore],
            (Self::LostAnswers, true) => vec![FaultKind::LostAfter, FaultKind::HangsAfter],
            (Self::LostAnswers, false) => vec![FaultKind::LostBefore],
            (Self::Destroys, _) => vec![],
        };
        let fault = |(number, call): (usize, CallKind)| {
            let at = At::Call(number as u32);
            kinds(call)
                .into_iter()
                .map(move |kind| (Some(Fault { at, kind }), None))
        };
        match self {
            Self::Deaths | Self::LostAnswers => told.calls().into_iter().enumerate().flat_map(fault).collect(),
            Self::Destroys => (0..told.looks).map(|look| (None, Some(look))).collect(),
        }
    }
}
