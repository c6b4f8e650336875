//! `cargo xtask pin-images`: asks each registry for the digest behind the tag of every image of the monitor, and writes it
//! into the one file that names them. From then on a tag that somebody moves changes nothing.

mod reference;
mod registry;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::stages::root;
use reference::Reference;
use registry::Registries;

/// Every image of the monitor.
pub(crate) const IMAGES: &str = "provisioning/monitor/images.env";

/// What is done with the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Write,
    /// Says whether the file has what the registries say now.
    Compare,
}

/// `hub` is where names without a host lead; Docker itself knows where nobody says it.
pub(crate) fn pin(then: Then, hub: Option<String>) -> Result<()> {
    let hub = match hub {
        Some(hub) => hub,
        None => registry::hub_of_docker()?,
    };
    pin_file(&root().join(IMAGES), then, &Registries::new(hub))
}

/// Asks for all of them before anything is written: a file that is half pinned looks like one that is pinned.
fn pin_file(file: &Path, then: Then, registries: &Registries) -> Result<()> {
    let before = std::fs::read_to_string(file).with_context(|| format!("{} could not be read", file.display()))?;
    let (mut after, mut refused, mut stale) = (String::new(), Vec::new(), Vec::new());
    for line in before.lines() {
        let pinned = match line.split_once('=') {
            Some((name, image)) if !line.starts_with('#') => {
                pinned(image, registries).map(|pinned| format!("{name}={pinned}"))
            }
            Some(_) | None => Ok(line.to_owned()),
        };
        match pinned {
            Ok(pinned) => {
                if pinned != line {
                    println!("{line}\n  -> {pinned}");
                    stale.push(line);
                }
                after.push_str(&pinned);
                after.push('\n');
            }
            Err(why) => refused.push(format!("{line}: {why:#}")),
        }
    }
    ensure!(
        refused.is_empty(),
        "{} of the images cannot be pinned. Nothing was written. Correct these lines, or try again where their registries \
         answer:\n{}",
        refused.len(),
        refused.join("\n")
    );
    match then {
        Then::Compare if !stale.is_empty() => bail!(
            "{} of the images are not what their registries say now. Run cargo xtask pin-images.",
            stale.len()
        ),
        Then::Write if after != before => replace(file, &after)?,
        Then::Compare | Then::Write => println!("every image is pinned to what its registry says"),
    }
    Ok(())
}

fn pinned(image: &str, registries: &Registries) -> Result<Reference> {
    let image = Reference::parse(image)?;
    let digest = registries.digest(&image)?;
    Ok(Reference {
        digest: Some(digest),
        ..image
    })
}

/// The old file or the new one, never a part of one.
fn replace(file: &Path, text: &str) -> Result<()> {
    let beside: PathBuf = file.with_extension("env.new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, file).with_context(|| format!("{} could not be replaced", file.display()))
}

#[cfg(test)]
mod tests;
