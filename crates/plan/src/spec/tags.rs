//! Tags that a deployment's resources carry beside ours: named one by one, or those of production.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::limits;
use crate::problem::Problem;

/// What AWS keeps to itself.
const OF_AWS: &str = "aws:";

/// Tags beside ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "the word `same_as_production`, or a mapping of names to texts"
)]
pub enum Tags {
    Named(BTreeMap<String, String>),
    Asked(Word),
}

/// The only word that stands for tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    SameAsProduction,
}

impl Default for Tags {
    fn default() -> Self {
        Self::Named(BTreeMap::new())
    }
}

impl Tags {
    /// Those that are named; none while the word stands for them.
    pub fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = match self {
            Self::Named(tags) => Some(tags),
            Self::Asked(Word::SameAsProduction) => None,
        };
        let pairs = named.into_iter().flatten();
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Whether every service that we tag takes it: what EC2, Elastic Load Balancing and S3 have in common ("Tag restrictions").
pub fn is_taken(name: &str, value: &str) -> bool {
    let is_text = |text: &str| {
        text.chars()
            .all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c))
    };
    (1..=limits::TAG_NAME).contains(&name.chars().count())
        && value.chars().count() <= limits::TAG_VALUE
        && !name.to_ascii_lowercase().starts_with(OF_AWS)
        && is_text(name)
        && is_text(value)
}

pub(super) fn problems(tags: &Tags, problems: &mut Vec<Problem>) {
    const FIELD: &str = "instances.tags";
    let mut refuse = |sentence: String, next: &str| {
        problems.push(Problem::blocks(format!("spec:{FIELD}"), sentence, next).at(FIELD));
    };
    let count = tags.named().count();
    if count > limits::TAGS {
        let sentence = format!(
            "There are {count} tags beside Arya's own; {} fit on one resource.",
            limits::TAGS
        );
        refuse(sentence, "Use fewer.");
    }
    if let Some((name, _)) = tags.named().find(|(name, value)| !is_taken(name, value)) {
        let sentence = format!(
            "AWS does not take the tag `{}` everywhere: a name has 1 to {} characters and does not begin with `{OF_AWS}`, a \
             value has up to {}, of letters, digits, spaces and _ . : / = + - @.",
            super::ranges::short_text(name),
            limits::TAG_NAME,
            limits::TAG_VALUE
        );
        refuse(sentence, "Write it so, or leave it out.");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Tags {
        let tags: Tags = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&tags).unwrap(), value);
        tags
    }

    fn refused(tags: &Tags) -> Vec<String> {
        let mut found = Vec::new();
        problems(tags, &mut found);
        found.into_iter().map(|problem| problem.sentence).collect()
    }

    #[test]
    fn tags_are_named_or_productions_and_nothing_else() {
        assert_eq!(read(json!("same_as_production")), Tags::Asked(Word::SameAsProduction));
        let named = read(json!({"team": "blue", "stage": "a b"}));
        assert_eq!(named.named().collect::<Vec<_>>(), [("stage", "a b"), ("team", "blue")]);
        for other in [json!("same"), json!(["team"]), json!(7)] {
            let said = serde_json::from_value::<Tags>(other).unwrap_err().to_string();
            assert!(said.contains("the word `same_as_production`"), "{said}");
        }
    }

    #[test]
    fn what_a_service_would_refuse_in_the_middle_of_a_deployment_is_refused_before() {
        let one = |name: &str, value: &str| Tags::Named([(name.to_owned(), value.to_owned())].into());
        let (long_name, long_value) = ("n".repeat(limits::TAG_NAME), "v".repeat(limits::TAG_VALUE));
        for (name, value) in [("team", ""), (&long_name, &long_value), ("größe", "a/b:c=d+e-f_g.h@i")] {
            assert_eq!(refused(&one(name, value)), Vec::<String>::new(), "{name}");
        }
        for (name, value) in [
            ("", "x"),
            ("aws:team", "x"),
            ("AWS:team", "x"),
            ("team", "a,b"),
            ("team\n", "x"),
            (&format!("{long_name}n"), "x"),
            ("team", &format!("{long_value}v")),
        ] {
            assert_eq!(refused(&one(name, value)).len(), 1, "{name}");
        }
        let many = |count: usize| Tags::Named((0..count).map(|n| (n.to_string(), String::new())).collect());
        assert_eq!(refused(&many(limits::TAGS)), Vec::<String>::new());
        assert!(refused(&many(limits::TAGS + 1))[0].contains("46 tags"));
    }
}
