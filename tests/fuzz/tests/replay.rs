//! Every kept input, and every made one, once: what was found stays found.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fuzz::{TARGETS, Target, corpus};

/// All corpora together: they are cloned by everyone, and replayed with every change.
const CORPUS_BYTES_MAX: usize = 2 * 1024 * 1024;

fn kept(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = corpus(target.name);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut kept: Vec<_> = files
        .map(|file| file.expect("the folder can be listed").path())
        .map(|path| {
            let bytes = fs::read(&path).expect("a corpus holds files only");
            (path.display().to_string(), bytes)
        })
        .collect();
    kept.sort();
    kept
}

#[test]
fn every_kept_input_passes() {
    let mut failed = Vec::new();
    for target in TARGETS {
        let inputs = kept(target);
        assert!(!inputs.is_empty(), "the target `{}` has no corpus", target.name);
        let made = (target.seeds)().into_iter().enumerate();
        let made = made.map(|(number, bytes)| (format!("seed {number} of {}", target.name), bytes));
        for (name, bytes) in inputs.into_iter().chain(made) {
            // One run names every input that fails, instead of the first.
            if catch_unwind(AssertUnwindSafe(|| (target.run)(&bytes))).is_err() {
                failed.push(name);
            }
        }
    }
    assert!(failed.is_empty(), "these inputs fail: {failed:#?}");
}

#[test]
fn every_corpus_belongs_to_a_target_and_all_are_small() {
    let root = corpus("");
    for folder in fs::read_dir(&root).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(fuzz::target(&name).is_some(), "corpus/{name} belongs to no target");
    }
    let bytes: usize = TARGETS.iter().flat_map(kept).map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes <= CORPUS_BYTES_MAX, "the corpora have {bytes} bytes");
}
