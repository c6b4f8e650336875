//! What an instance was told, read as its script would read it.

use std::io::Read as _;

/// User data as EC2 keeps it.
pub(crate) fn unpacked(encoded: &str) -> String {
    let packed = aws_smithy_types::base64::decode(encoded).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// A value of a block of lines `readonly ARYA_NAME='value'`; empty where there is nothing to be told.
pub(crate) fn value<'t>(block: &'t str, name: &str) -> &'t str {
    let line = format!("readonly ARYA_{name}='");
    let found = block.lines().find_map(|said| said.strip_prefix(&line));
    found
        .unwrap_or_else(|| panic!("nothing is said of {name}"))
        .trim_end_matches('\'')
}

/// Where the pieces of the image archive are fetched, in their order, each before its digest.
pub(crate) fn pieces(block: &str) -> Vec<&str> {
    let list = block
        .lines()
        .find_map(|said| said.strip_prefix("readonly -a ARYA_IMAGE_PIECES=("));
    let words = list.expect("the image is told").trim_end_matches(')').split(' ');
    let words = words
        .filter(|word| !word.is_empty())
        .map(|word| word.trim_matches('\''));
    words.step_by(2).collect()
}

/// Where an object of that name is fetched; `None` = there is none to fetch.
pub(crate) fn url<'t>(block: &'t str, name: &str) -> Option<&'t str> {
    Some(value(block, &format!("{name}_URL"))).filter(|url| !url.is_empty())
}
