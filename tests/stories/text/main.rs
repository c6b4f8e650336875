//! Stories told in text: a title that is a sentence of the README, a script of a line per act, and the feed that a person
//! reads, word for word with its times. They run on the simulated cloud at the pace of AWS and need no built program.
//!
//! `ARYA_BLESS=1` writes the feeds anew; read them before they are committed.

// A story's tools fail by panicking, as the test itself would.
#![allow(clippy::unwrap_used, clippy::panic)]

mod acts;
mod ending;
#[path = "../../simulation/process.rs"]
mod process;
mod promises;
mod script;
mod story;
mod telling;
mod variations;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::story::Story;

fn folder() -> PathBuf {
    tests::workspace_root().join("tests/stories/text")
}

/// The names of all stories, in the order of the alphabet.
fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let stories = files.filter(|path| path.extension().is_some_and(|ending| ending == "story"));
    let mut names: Vec<String> = stories
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_story_goes_as_it_is_written() {
    let (names, next, failures) = (names(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    assert!(!names.is_empty());
    let tell = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(failure) = Story::read(&folder(), name).and_then(|story| story.check()) {
                failures.lock().unwrap().push(format!("== {name}.story\n{failure}"));
            }
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(tell);
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
