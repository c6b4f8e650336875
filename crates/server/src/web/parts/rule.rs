//! A rule's conditions as a page shows them: the secret of a probe rule stays out.

use arya_plan::desired::PROBE_HEADER;
use arya_plan::listener::Condition;

use crate::api::documents::RuleDocument;

pub(crate) fn when(rule: &RuleDocument) -> String {
    let secret = |condition: &Condition| matches!(condition, Condition::HttpHeader { name, .. } if name.eq_ignore_ascii_case(PROBE_HEADER));
    if rule.conditions.iter().any(secret) {
        return format!("Header {PROBE_HEADER} is a secret of Arya's");
    }
    arya_judge::capitalised(&rule.when)
}
