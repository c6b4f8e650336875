//! What the README says, sentence by sentence, beside what keeps it (`promises.txt`): no sentence without a keeper, no
//! story without a sentence.

use std::collections::BTreeMap;
use std::process::Command;

use crate::story::Story;

/// What stands under a sentence in `promises.txt`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Keeper {
    /// `story NAME`: a text story of that name.
    Story(String),
    /// `test NAME`: a function of that name somewhere in the tests.
    Test(String),
    /// `no promise: WHY`.
    NoPromise,
}

/// Words between a full stop and the next sentence that belong to neither.
const CLOSING: [char; 4] = ['*', '"', ')', '”'];

/// The sections that promise nothing of the product's behaviour: they are for those who develop it.
const FOR_DEVELOPERS: [&str; 1] = ["## Develop"];

fn read(path: &str) -> String {
    std::fs::read_to_string(tests::workspace_root().join(path)).unwrap()
}

/// The README's sentences: of paragraphs, items of lists, and the first cells of tables. Code, pictures and headings are
/// none.
fn sentences(readme: &str) -> Vec<String> {
    let (mut paragraphs, mut open, mut in_code, mut skipped) = (vec![], String::new(), false, false);
    for line in readme.lines().chain([""]) {
        let line = line.trim_start_matches("> ").trim();
        let ends = line.is_empty()
            || ["#", "- ", "|", "```", "!["]
                .iter()
                .any(|start| line.starts_with(start));
        if ends {
            paragraphs.push(std::mem::take(&mut open));
        }
        if line.starts_with('#') {
            skipped = FOR_DEVELOPERS.contains(&line);
        }
        in_code ^= line.starts_with("```");
        if skipped || in_code || ["#", "```", "!["].iter().any(|start| line.starts_with(start)) {
            continue;
        }
        if let Some(row) = line.strip_prefix('|') {
            paragraphs.extend(row.split('|').next().map(|cell| cell.trim().to_owned()));
            continue;
        }
        open.push(' ');
        open.push_str(line.trim_start_matches("- "));
    }
    let header = |text: &String| text.is_empty() || text == "promise" || text.starts_with("---");
    let texts = paragraphs.into_iter().map(|text| text.trim().to_owned());
    texts
        .filter(|text| !header(text))
        .flat_map(|text| split(&text))
        .collect()
}

/// A paragraph in sentences: each ends with a full stop or a colon's end of paragraph, and the next begins with a space.
fn split(text: &str) -> Vec<String> {
    let (mut sentences, mut start) = (Vec::new(), 0);
    for (at, _) in text.match_indices(['.', '?', '!']) {
        let rest = text[at + 1..].trim_start_matches(CLOSING);
        let end = text.len() - rest.len();
        if rest.starts_with(' ') && end > start {
            sentences.push(text[start..end].trim().to_owned());
            start = end;
        }
    }
    sentences.push(text[start..].trim().to_owned());
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// `promises.txt`: a sentence, and indented under it what keeps it.
fn table() -> Vec<(String, Vec<Keeper>)> {
    let mut table: Vec<(String, Vec<Keeper>)> = Vec::new();
    for line in read("tests/stories/text/promises.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(keeper) = line.strip_prefix("    ") else {
            table.push((line.to_owned(), Vec::new()));
            continue;
        };
        let keeper = match keeper.split_once(' ') {
            Some(("story", name)) => Keeper::Story(name.to_owned()),
            Some(("test", name)) => Keeper::Test(name.to_owned()),
            Some(("no", why)) if why.starts_with("promise: ") => Keeper::NoPromise,
            _ => panic!("promises.txt: `{keeper}` is neither `story NAME` nor `test NAME` nor `no promise: WHY`"),
        };
        table
            .last_mut()
            .expect("a sentence comes before its keepers")
            .1
            .push(keeper);
    }
    table
}

/// The names of all tests that are written down in the tree.
fn is_a_test(name: &str) -> bool {
    let grep = [
        "grep",
        "--quiet",
        "--fixed-strings",
        "--untracked",
        "-e",
        &format!("fn {name}("),
        "--",
        "*.rs",
    ]
    .map(str::to_owned);
    let status = Command::new("git")
        .args(grep)
        .current_dir(tests::workspace_root())
        .status();
    status.unwrap().success()
}

#[test]
fn every_sentence_of_the_readme_has_its_keeper() {
    let (sentences, table) = (sentences(&read("README.md")), table());
    let names = crate::names();
    let missing: Vec<_> = sentences
        .iter()
        .filter(|said| table.iter().all(|(known, _)| known != *said))
        .collect();
    let gone: Vec<_> = table
        .iter()
        .filter(|(known, _)| !sentences.contains(known))
        .map(|(known, _)| known)
        .collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "Say in tests/stories/text/promises.txt what keeps what the README says.\nNot there yet:\n{missing:#?}\nNo longer \
         in the README:\n{gone:#?}"
    );
    for (sentence, keepers) in table {
        assert!(!keepers.is_empty(), "nothing keeps \"{sentence}\"");
        for keeper in keepers {
            let exists = match &keeper {
                Keeper::Story(name) => names.contains(name),
                Keeper::Test(name) => is_a_test(name),
                Keeper::NoPromise => true,
            };
            assert!(exists, "there is no {keeper:?}, which is to keep \"{sentence}\"");
        }
    }
}

#[test]
fn every_story_keeps_a_sentence_of_the_readme() {
    let sentences = sentences(&read("README.md"));
    let table = table();
    let mut kept: BTreeMap<&str, &str> = BTreeMap::new();
    for (sentence, keepers) in &table {
        for keeper in keepers {
            if let Keeper::Story(name) = keeper {
                kept.insert(name, sentence);
            }
        }
    }
    for name in crate::names() {
        let story = Story::read(&crate::folder(), &name).unwrap();
        let title = &story.title;
        let said = sentences.iter().any(|sentence| sentence.contains(title.as_str()));
        assert!(said, "{name}.story: the README does not say \"{title}\"");
        assert!(
            kept.contains_key(name.as_str()),
            "{name}.story keeps no sentence in promises.txt"
        );
    }
}

#[test]
fn sentences_are_told_apart_as_a_person_reads_them() {
    let text = "# T\n\nOne law: **go.** Then `a.b` of\n1.5 s. Really?\n\n- An item\n  goes on.\n\n| promise | by |\n|---|---|\n| \
                It stays | x |\n\n```\ncode. Code.\n```\n## Develop\n\nNot this.\n";
    let expected = [
        "One law: **go.**",
        "Then `a.b` of 1.5 s.",
        "Really?",
        "An item goes on.",
        "It stays",
    ];
    assert_eq!(sentences(text), expected);
}
