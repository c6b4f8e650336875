//! What ARCHITECTURE.md claims about the tree, checked.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::workspace_root;

/// A sitting: longer files are split.
const FILE_LINES_MAX: usize = 600;

fn tracked(ending: &str) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(workspace_root())
        .output()
        .unwrap();
    assert!(output.status.success());
    let names = String::from_utf8(output.stdout).unwrap();
    let files = names
        .split('\0')
        .filter(|name| name.ends_with(ending))
        .map(|name| workspace_root().join(name));
    files.filter(|path| path.exists()).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn metadata() -> Value {
    // Not offline: a clean machine has built for itself only, and what other platforms need is read about here too.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(workspace_root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Names of everything that a package pulls in for its own build, tests aside.
fn dependencies(metadata: &Value, package: &str) -> std::collections::BTreeSet<String> {
    let packages = metadata["packages"].as_array().unwrap();
    let id_of = |name: &str| {
        packages.iter().find(|p| p["name"] == name).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let name_of = |id: &str| {
        packages.iter().find(|p| p["id"] == id).unwrap()["name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let mut open = vec![id_of(package)];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(id) = open.pop() {
        let node = nodes.iter().find(|n| n["id"] == id.as_str()).unwrap();
        for dep in node["deps"].as_array().unwrap() {
            let normal = dep["dep_kinds"]
                .as_array()
                .unwrap()
                .iter()
                .any(|kind| kind["kind"].is_null());
            let id = dep["pkg"].as_str().unwrap();
            if normal && seen.insert(name_of(id)) {
                open.push(id.to_owned());
            }
        }
    }
    seen
}

#[test]
fn pure_crates_have_no_runtime_no_cloud_and_no_network_in_their_tree() {
    let metadata = metadata();
    for package in ["arya-judge", "arya-plan", "arya-bundle"] {
        let found = dependencies(&metadata, package);
        let forbidden = [
            "tokio",
            "hyper",
            "axum",
            "rusqlite",
            "ureq",
            "arya-local",
            "arya-engine",
            "arya-aws",
        ];
        for name in forbidden {
            assert!(!found.contains(name), "{package} reaches {name}");
        }
        assert!(
            !found.iter().any(|name| name.starts_with("aws-")),
            "{package} reaches the AWS SDK"
        );
    }
}

#[test]
fn arrows_between_crates_are_those_of_architecture_md() {
    let metadata = metadata();
    let ours = |package: &str| -> Vec<String> {
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages.iter().find(|p| p["name"] == package).unwrap();
        let deps = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| d["kind"].is_null());
        let mut names: Vec<_> = deps
            .filter_map(|d| d["name"].as_str())
            .filter(|n| n.starts_with("arya-"))
            .map(String::from)
            .collect();
        names.sort();
        names
    };
    assert_eq!(ours("arya-judge"), Vec::<String>::new());
    assert_eq!(ours("arya-bundle"), Vec::<String>::new());
    assert_eq!(ours("arya-plan"), ["arya-bundle", "arya-judge"]);
    assert_eq!(ours("arya-local"), ["arya-bundle", "arya-judge", "arya-plan"]);
    assert_eq!(ours("arya-engine"), ["arya-judge", "arya-plan"]);
    assert_eq!(ours("arya-aws"), ["arya-bundle", "arya-judge", "arya-plan"]);
}

/// Whether some alternative of a licence expression consists of allowed licences only.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain
        .split(" OR ")
        .any(|alternative| alternative.split(" AND ").all(|one| allowed.contains(&one.trim())))
}

#[test]
fn licences_are_those_of_deny_toml() {
    let deny = read(&workspace_root().join("deny.toml"));
    let list = deny.split("allow = [").nth(1).unwrap().split(']').next().unwrap();
    let allowed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    for package in metadata()["packages"].as_array().unwrap() {
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(is_allowed(licence, &allowed), "{} is under {licence}", package["name"]);
    }
}

/// The rows of a table of ARCHITECTURE.md, as cells; `header` is how the table begins.
fn table(header: &str) -> Vec<Vec<String>> {
    let map = read(&workspace_root().join("ARCHITECTURE.md"));
    let lines = map.lines().skip_while(|line| !line.starts_with(header)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    let cells = |row: &str| -> Vec<String> {
        row.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(rows.len() > 5, "ARCHITECTURE.md has no table that begins with {header}");
    rows
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn folders(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    folders
        .map(|folder| folder.file_name().into_string().unwrap())
        .collect()
}

/// Whether a folder holds more than the tests of the file beside it.
fn holds_modules(folder: &Path) -> bool {
    let files = tracked(".rs");
    let mut inside = files.iter().filter(|file| file.starts_with(folder));
    inside.any(|file| file.file_name().is_some_and(|name| name != "tests.rs"))
}

#[test]
fn architecture_md_names_every_crate_and_module_folder_and_no_other() {
    let crates = workspace_root().join("crates");
    let rows = table("| crate |");
    let mut named: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let mut there: Vec<String> = folders(&crates);
    named.sort_unstable();
    there.sort_unstable();
    assert_eq!(named, there, "the crates of ARCHITECTURE.md and those under crates/");
    for row in &rows {
        let source = crates.join(row[0].trim_matches('`')).join("src");
        let items = quoted(&row[1]);
        for item in items.iter().filter(|item| item.ends_with('/') || item.ends_with(".rs")) {
            assert!(
                source.join(item).exists(),
                "ARCHITECTURE.md names {item} of {}, which is not there",
                row[0]
            );
        }
        for folder in folders(&source)
            .iter()
            .filter(|folder| holds_modules(&source.join(folder)))
        {
            let module = |item: &&str| item.trim_end_matches('/').trim_end_matches(".rs") == folder;
            assert!(
                items.iter().any(module),
                "ARCHITECTURE.md does not name `{folder}/` of {}",
                row[0]
            );
        }
    }
}

#[test]
fn architecture_md_names_what_runs_on_the_whole_product() {
    let map = read(&workspace_root().join("ARCHITECTURE.md"));
    let all = read(&workspace_root().join("tests/Cargo.toml"));
    let targets = all
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"'));
    for target in targets.filter(|target| *target != "src/lib.rs") {
        let name = target.strip_suffix("main.rs").unwrap_or(target);
        assert!(
            map.contains(&format!("`{name}`")),
            "ARCHITECTURE.md does not name `{name}` of tests/"
        );
    }
    for item in quoted(&map).iter().filter(|item| item.starts_with("tests/")) {
        assert!(
            workspace_root().join(item).exists(),
            "ARCHITECTURE.md names {item}, which is not there"
        );
    }
}

#[test]
fn every_invariant_names_tests_that_exist() {
    let sources: Vec<String> = tracked(".rs").iter().map(|file| read(file)).collect();
    for row in table("| # |") {
        let tests = quoted(&row[2]);
        assert!(!tests.is_empty(), "invariant {} names no test", row[0]);
        for test in tests {
            let written = format!("fn {test}(");
            assert!(
                sources.iter().any(|source| source.contains(&written)),
                "invariant {}: there is no test {test}",
                row[0]
            );
        }
    }
}

#[test]
fn pure_crates_never_read_the_clock() {
    for folder in ["crates/judge/src", "crates/plan/src", "crates/bundle/src"] {
        for file in tracked(".rs")
            .iter()
            .filter(|path| path.starts_with(workspace_root().join(folder)))
        {
            let text = read(file);
            for call in ["Timestamp::now", "Instant::now", "SystemTime"] {
                assert!(!text.contains(call), "{} reads the clock: {call}", file.display());
            }
        }
    }
}

#[test]
fn only_identity_rs_spells_a_tag() {
    for file in tracked(".rs") {
        let is_identity = file.ends_with("plan/src/identity.rs");
        let spelled = [
            "\"arya:installation\"",
            "\"arya:deployment\"",
            "\"arya:logical-id\"",
            "\"arya:incarnation\"",
        ];
        let text = read(&file);
        if !is_identity && !file.ends_with("tests/tidy.rs") {
            assert!(
                !spelled.iter().any(|tag| text.contains(tag)),
                "{} spells a tag",
                file.display()
            );
        }
    }
}

#[test]
fn files_can_be_read_in_a_sitting() {
    for file in tracked(".rs").into_iter().chain(tracked(".js")).chain(tracked(".html")) {
        let lines = read(&file).lines().count();
        let vendored = file.components().any(|part| part.as_os_str() == "vendor");
        assert!(
            vendored || lines <= FILE_LINES_MAX,
            "{} has {lines} lines",
            file.display()
        );
    }
}

#[test]
fn nothing_unfinished_or_from_one_machine_is_committed() {
    let unfinished = [
        "TO".to_owned() + "DO",
        "FIX".to_owned() + "ME",
        "todo".to_owned() + "!(",
        "unimplemented".to_owned() + "!(",
    ];
    let machine = ["/ro".to_owned() + "ot/", "/wo".to_owned() + "rk/main"];
    for ending in [".rs", ".md", ".html", ".css", ".js", ".toml", ".sh", ".yaml"] {
        for file in tracked(ending) {
            let text = read(&file);
            for word in unfinished.iter().chain(&machine) {
                assert!(!text.contains(word.as_str()), "{} contains {word:?}", file.display());
            }
        }
    }
}

#[test]
fn every_page_keeps_style_and_script_in_files_of_its_own() {
    for file in tracked(".html") {
        let text = read(&file);
        // The report is one self-contained file by design; its hashes are in its content policy.
        let self_contained = file.file_name().is_some_and(|name| name == "report.html");
        assert!(
            !text.contains(" style=\"") && !text.contains(" onclick="),
            "{}",
            file.display()
        );
        assert!(self_contained || !text.contains("<style"), "{}", file.display());
        for external in ["src=\"http", "href=\"http://", "href=\"https://"] {
            assert!(!text.contains(external), "{} asks another host", file.display());
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for file in tracked(".md") {
        let text = read(&file);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(
                file.parent().unwrap().join(path).exists(),
                "{}: {target} leads nowhere",
                file.display()
            );
        }
    }
}

/// How often a harmless canary alarms depends on the noise, so whoever says how often says on which.
#[test]
fn a_rate_of_false_alarms_names_its_noise() {
    assert!(is_bare_rate("At most 5 % false alarms."));
    assert!(is_bare_rate("A healthy canary alarms in 1.6% of hours."));
    assert!(!is_bare_rate("At most 5 % false alarms, for independent failures."));
    assert!(!is_bare_rate("The canary gets 5 % of the requests."));
    let mut bare = Vec::new();
    for path in tracked(".md").into_iter().chain(tracked(".html")) {
        let text = read(&path);
        let said = paragraphs(&text);
        bare.extend(said.filter(|said| is_bare_rate(said)).map(|said| (path.clone(), said)));
    }
    // What pages and commands say stands in the program; a sentence there is a few lines long.
    let speaks = |path: &&PathBuf| {
        ["/words", "/web/", "/cli"]
            .iter()
            .any(|part| path.to_string_lossy().contains(part))
    };
    for path in tracked(".rs").iter().filter(speaks) {
        let text = read(path);
        let shown = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines: Vec<&str> = shown.lines().collect();
        let said = lines.windows(4).map(|few| few.join("\n"));
        bare.extend(said.filter(|said| is_bare_rate(said)).map(|said| (path.clone(), said)));
    }
    assert!(
        bare.is_empty(),
        "these say a rate of false alarms and not on which noise: {bare:#?}"
    );
}

/// Whether a text says how often there are false alarms, and not on which noise.
fn is_bare_rate(text: &str) -> bool {
    const ALARMS: [&str; 6] = [
        "false alarm",
        "falsely",
        "alarms in",
        "alarm in",
        "alarmed in",
        "alarms on",
    ];
    const NOISES: [&str; 5] = ["noise", "independent", "burst", "drift", "outage"];
    let text = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let rate = text.split('%').rev().skip(1).any(|before| {
        let before = before.trim_end_matches([' ', '\u{a0}']);
        before.ends_with(|last: char| last.is_ascii_digit())
    });
    rate && says(&ALARMS) && !says(&NOISES)
}

/// Paragraphs, points of lists and rows of tables.
fn paragraphs(text: &str) -> impl Iterator<Item = String> {
    let mut paragraphs = vec![String::new()];
    for line in text.lines() {
        let begins = ["- ", "* ", "|"].iter().any(|mark| line.trim_start().starts_with(mark));
        if begins || line.trim().is_empty() {
            paragraphs.push(String::new());
        }
        if let Some(last) = paragraphs.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    paragraphs.into_iter()
}
