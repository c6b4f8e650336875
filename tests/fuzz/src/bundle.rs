//! What must hold after any archive or compose file, whatever was in it.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use arya_bundle::{BundleError, Description, Limits, Wanted, describe, unpack_layers};

/// A message that is longer is not read by anyone.
const MESSAGE_CHARACTERS: usize = 2000;

/// As in the product, but a small bomb is already one: the fuzzer tries thousands of inputs in a second.
pub(crate) fn limits() -> Limits {
    const MIB: u64 = 1024 * 1024;
    Limits {
        archive_entries: 2000,
        layer_entries: 2000,
        unpacked_bytes: 16 * MIB,
        expansion_grace: MIB,
        ..Limits::default()
    }
}

/// Describes the archive and unpacks every image of it.
pub(crate) fn describe_and_unpack(archive: &[u8]) {
    let described = match describe(archive, &limits()) {
        Ok(described) => described,
        Err(error) => return check_error(&error),
    };
    assert!(!format!("{described:?}").is_empty());
    let stored = serde_json::to_string(&described).expect("a description is plain data");
    let again: Description = serde_json::from_str(&stored).expect("what was stored is read again");
    assert_eq!(again.images.len(), described.images.len());
    for image in &described.images {
        unpack(archive, Wanted::Id(&image.image_id));
    }
}

/// Unpacks and looks at everything that is on disk then.
pub(crate) fn unpack(archive: &[u8], wanted: Wanted<'_>) {
    let folder = tempfile::tempdir().expect("a folder for this input can be made");
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).expect("it was made a moment ago");
    let target = inner.join("target");
    let done = unpack_layers(|| Ok(archive), wanted, &target, &limits());
    assert_eq!(names(folder.path()), ["inner"], "something lies beside the folder");
    match done {
        Ok(_) => {
            assert_eq!(names(&inner), ["target"], "something lies beside the target");
            check_tree(&target, &target.canonicalize().expect("it was unpacked there"));
        }
        Err(error) => {
            assert!(names(&inner).is_empty(), "a failure left something: {error}");
            check_error(&error);
        }
    }
}

/// Everything below is a file, a directory, or a link that leads nowhere else; no file is setuid.
fn check_tree(folder: &Path, root: &Path) {
    for name in names(folder) {
        let path = folder.join(name);
        let found = fs::symlink_metadata(&path).expect("it was listed");
        let kind = found.file_type();
        if kind.is_symlink() {
            // A link to nothing and a loop lead nowhere, which is inside enough.
            if let Ok(real) = path.canonicalize() {
                assert!(
                    real.starts_with(root),
                    "{} leads out to {}",
                    path.display(),
                    real.display()
                );
            }
            continue;
        }
        assert!(!kind.is_char_device() && !kind.is_block_device() && !kind.is_fifo() && !kind.is_socket());
        if kind.is_dir() {
            check_tree(&path, root);
        } else {
            assert_eq!(
                found.permissions().mode() & 0o7000,
                0,
                "{} is setuid, setgid or sticky",
                path.display()
            );
        }
    }
}

fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let listed = fs::read_dir(folder).expect("the folder exists");
    listed
        .map(|entry| entry.expect("it can be listed").file_name())
        .collect()
}

fn check_error(error: &BundleError) {
    check_message(&error.to_string());
}

/// One or more whole sentences that can be printed on any terminal and page.
pub(crate) fn check_message(text: &str) {
    assert!(text.ends_with('.'), "no sentence: {text:?}");
    assert!(
        text.chars().count() <= MESSAGE_CHARACTERS,
        "{} characters: {text:.200?}",
        text.chars().count()
    );
    assert!(
        !text.chars().any(|c| c.is_control() || is_bidirectional(c)),
        "unprintable: {text:?}"
    );
}

/// Marks that turn the reading direction, and with them what a sentence seems to say.
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
