//! Parameters as the Query protocols send them, `A.member.1.B=x`, as a tree; and XML, in which answers come.

use std::collections::BTreeMap;

/// What every list of Elastic Load Balancing's is made of, in requests and in answers.
const MEMBER: &str = "member";

/// AWS promises no order of a forward's groups; here it is never the one that was written.
const UNORDERED: &str = "TargetGroups";

/// A value, or more of them by name; a list has numbers for names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Text(String),
    Branch(BTreeMap<String, Tree>),
}

impl Default for Tree {
    fn default() -> Self {
        Self::Branch(BTreeMap::new())
    }
}

impl Tree {
    pub(crate) fn from_form(body: &[u8]) -> Self {
        let mut tree = Self::default();
        for (key, value) in form_urlencoded::parse(body) {
            let mut at = &mut tree;
            for part in key.split('.') {
                at = at.branch().entry(part.to_owned()).or_default();
            }
            *at = Self::Text(value.into_owned());
        }
        tree
    }

    fn branch(&mut self) -> &mut BTreeMap<String, Self> {
        if let Self::Text(_) = self {
            *self = Self::default();
        }
        match self {
            Self::Branch(branch) => branch,
            Self::Text(_) => unreachable!("it was made a branch above"),
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: Self) {
        self.branch().insert(name.to_owned(), value);
    }

    /// What lies below a path with dots.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |tree, part| match tree {
            Self::Branch(branch) => branch.get(part),
            Self::Text(_) => None,
        })
    }

    /// The text at a path; empty where there is none.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.at(path).and_then(Self::as_text).unwrap_or_default()
    }

    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Branch(_) => None,
        }
    }

    pub(crate) fn number(&self, path: &str) -> Option<i64> {
        self.text(path).parse().ok()
    }

    /// The list at a path, in the order of its numbers; with or without AWS's `member` in between.
    pub(crate) fn list(&self, path: &str) -> Vec<&Self> {
        let list = self.at(&format!("{path}.{MEMBER}")).or_else(|| self.at(path));
        list.map(Self::items).unwrap_or_default()
    }

    fn items(&self) -> Vec<&Self> {
        let Self::Branch(branch) = self else { return vec![] };
        let mut numbered: Vec<(usize, &Self)> = branch
            .iter()
            .filter_map(|(name, item)| Some((name.parse().ok()?, item)))
            .collect();
        numbered.sort_by_key(|(number, _)| *number);
        numbered.into_iter().map(|(_, item)| item).collect()
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, path: &str) -> Vec<&str> {
        self.list(path).into_iter().filter_map(Self::as_text).collect()
    }

    /// As Elastic Load Balancing tells what it was told: the same names, lists of members.
    pub(crate) fn xml(&self) -> String {
        match self {
            Self::Text(text) => escaped(text),
            Self::Branch(branch) => branch
                .iter()
                .map(|(name, below)| match below.at(MEMBER) {
                    Some(list) if name == UNORDERED => {
                        el(name, &members(list.items().into_iter().rev().map(Self::xml)))
                    }
                    Some(list) => el(name, &members(list.items().into_iter().map(Self::xml))),
                    None => el(name, &below.xml()),
                })
                .collect(),
        }
    }
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// An element around what is XML already.
pub(crate) fn el(name: &str, inner: &str) -> String {
    format!("<{name}>{inner}</{name}>")
}

/// An element around a text.
pub(crate) fn text(name: &str, value: impl ToString) -> String {
    el(name, &escaped(&value.to_string()))
}

pub(crate) fn members(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().map(|item| el(MEMBER, &item)).collect()
}

/// EC2's lists.
pub(crate) fn items(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().map(|item| el("item", &item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_a_tree_and_tells_what_it_was_told() {
        let form = b"Action=CreateRule&Actions.member.1.Order=1&Actions.member.1.Config.Groups.member.2.Weight=5\
            &Actions.member.1.Config.Groups.member.1.Weight=95&Actions.member.1.Config.Groups.member.10.Weight=0";
        let tree = Tree::from_form(form);
        assert_eq!(tree.text("Action"), "CreateRule");
        let groups = tree.list("Actions")[0].list("Config.Groups");
        let weights: Vec<_> = groups.iter().map(|group| group.number("Weight").unwrap()).collect();
        assert_eq!(weights, [95, 5, 0]);
        let told = tree.at("Actions").unwrap().at("member.1").unwrap().xml();
        let member = |weight| format!("<member><Weight>{weight}</Weight></member>");
        let groups = [95, 5, 0].map(member).concat();
        assert_eq!(
            told,
            format!("<Config><Groups>{groups}</Groups></Config><Order>1</Order>")
        );
    }

    #[test]
    fn texts_of_a_list_come_in_order() {
        let tree = Tree::from_form(b"InstanceId.2=b&InstanceId.1=a&Names.member.1=n");
        assert_eq!(tree.texts("InstanceId"), ["a", "b"]);
        assert_eq!(tree.texts("Names"), ["n"]);
        assert_eq!(tree.texts("Absent"), Vec::<&str>::new());
    }
}
