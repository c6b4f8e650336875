//! The restore proof: that production is as before, and what others changed meanwhile.

use arya_plan::proof::Whose;

use crate::api::documents::ProofDocument;

#[derive(Debug, Clone)]
pub(crate) struct ProofView {
    pub(crate) holds: bool,
    pub(crate) sentence: String,
    pub(crate) lines: Vec<String>,
}

impl ProofView {
    pub(crate) fn of(proof: &ProofDocument) -> Self {
        let whose = |whose| match whose {
            Whose::Ours => "ours",
            Whose::Others => "others",
        };
        Self {
            holds: proof.holds,
            sentence: proof.sentence.clone(),
            lines: proof
                .differences
                .iter()
                .map(|d| format!("{} ({}): {}", d.what, whose(d.whose), d.sentence))
                .collect(),
        }
    }
}
