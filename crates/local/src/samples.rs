//! The sample service as a user would hand it over: true `docker save` archives and compose files on disk.
//!
//! The image holds the given executable itself, so nothing has to be downloaded or built. This module must never run
//! what it packs, nor know who deploys it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use arya_bundle::Digest;
use arya_bundle::pack::{ImageSpec, Layer, LayerWriter, docker_save_classic, oci_layout};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The releases that `try` offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// What runs before anybody deploys: the same files as `baseline`.
    pub production: Sample,
    /// Version 1.0.
    pub baseline: Sample,
    /// Version 1.1, as healthy as 1.0.
    pub canary: Sample,
    /// Version 1.2: fails 10 % of requests and takes 150 ms longer.
    pub canary_bad: Sample,
}

/// One release: an image archive and the compose file that starts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The image's name and tag.
    pub reference: String,
    /// The archive, as `docker save` writes it.
    pub image: PathBuf,
    /// Of the archive's bytes.
    pub image_digest: Digest,
    /// The compose file.
    pub compose: PathBuf,
    /// Of the compose file's bytes.
    pub compose_digest: Digest,
}

/// The three of them that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    Baseline,
    Canary,
    CanaryBad,
}

/// The port inside the container, and the one that the compose file publishes.
pub const SAMPLE_PORT: u16 = 8080;

/// Raised when what is written changes, so that files of an older Arya are not taken for current ones.
const FORMAT: u32 = 1;

/// What was written from which executable. Its presence says that everything before it is complete.
#[derive(Debug, Serialize, Deserialize)]
struct Stamp {
    format: u32,
    executable: Digest,
    releases: Vec<Written>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    sample: Sample,
    image_size: u64,
    compose_size: u64,
}

impl Release {
    const ALL: [Self; 3] = [Self::Baseline, Self::Canary, Self::CanaryBad];

    fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Canary => "canary",
            Self::CanaryBad => "canary_bad",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Baseline => "1.0",
            Self::Canary => "1.1",
            Self::CanaryBad => "1.2",
        }
    }

    fn reference(self) -> String {
        format!("charthealth/records:{}", self.version())
    }

    /// The faults are part of the bad image: nothing outside of it says that it is bad.
    fn environment(self) -> Vec<String> {
        let mut environment = vec![
            format!("SAMPLE_VERSION={}", self.version()),
            format!("PORT={SAMPLE_PORT}"),
        ];
        if self == Self::CanaryBad {
            environment.extend([
                "SAMPLE_ERROR_SHARE=0.1".to_owned(),
                "SAMPLE_EXTRA_LATENCY_MS=150".to_owned(),
            ]);
        }
        environment
    }

    fn compose(self) -> String {
        format!(
            "services:\n  web:\n    image: {}\n    ports:\n      - \"{SAMPLE_PORT}:{SAMPLE_PORT}\"\n    environment:\n      \
             SAMPLE_STARTUP_MS: \"{START_UP_MS}\"\n    restart: unless-stopped\n",
            self.reference()
        )
    }
}

/// Long enough that "warming up" can be seen, short enough that nobody waits for it.
const START_UP_MS: u32 = 400;

/// Writes the archives and compose files into `dir`, or finds them there from the same executable.
///
/// # Errors
/// The executable cannot be read or `dir` cannot be written. No half-written file stays under its final name.
pub fn write_samples(executable: &Path, dir: &Path) -> io::Result<Samples> {
    fs::create_dir_all(dir).map_err(|error| naming(dir, &error))?;
    let digest = digest_of(executable).map_err(|error| naming(executable, &error))?;
    let stamp_file = dir.join("samples.json");
    let stamp = match current(&stamp_file, &digest, dir) {
        Some(stamp) => stamp,
        None => {
            // Gone first: a stop half-way must not leave an old stamp beside new files.
            remove(&stamp_file)?;
            let stamp = write_all(executable, digest, dir)?;
            replace(&stamp_file, |out| Ok(serde_json::to_writer_pretty(out, &stamp)?))?;
            stamp
        }
    };
    let mut found = stamp.releases.into_iter().map(|written| written.sample);
    match (found.next(), found.next(), found.next()) {
        (Some(baseline), Some(canary), Some(canary_bad)) => Ok(Samples {
            production: baseline.clone(),
            baseline,
            canary,
            canary_bad,
        }),
        _ => Err(io::Error::other(
            "the stamp of the samples names fewer than three releases",
        )),
    }
}

/// The stamp, if it is of this executable and format and every file is where it says, with the size it says.
fn current(stamp_file: &Path, executable: &Digest, dir: &Path) -> Option<Stamp> {
    let stamp: Stamp = serde_json::from_slice(&fs::read(stamp_file).ok()?).ok()?;
    let has_size = |path: &Path, size| fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == size);
    let complete = stamp.releases.len() == Release::ALL.len()
        && stamp.releases.iter().zip(Release::ALL).all(|(written, release)| {
            let (image, compose) = paths(release, dir);
            (&written.sample.image, &written.sample.compose) == (&image, &compose)
                && has_size(&image, written.image_size)
                && has_size(&compose, written.compose_size)
        });
    (stamp.format == FORMAT && stamp.executable == *executable && complete).then_some(stamp)
}

fn write_all(executable: &Path, digest: Digest, dir: &Path) -> io::Result<Stamp> {
    let program = dir.join("program-layer.tar");
    let written = replace(&program, |out| program_layer(executable, out)).and_then(|_| {
        Release::ALL
            .into_iter()
            .map(|release| write(release, &program, dir))
            .collect::<io::Result<Vec<_>>>()
    });
    // The layer is in the archives now, or there are none.
    remove(&program)?;
    Ok(Stamp {
        format: FORMAT,
        executable: digest,
        releases: written?,
    })
}

fn write(release: Release, program: &Path, dir: &Path) -> io::Result<Written> {
    let (image, compose) = paths(release, dir);
    let settings = settings_layer(release)?;
    let layers = [
        Layer::Stream {
            size: fs::metadata(program)?.len(),
            open: Box::new(|| Ok(Box::new(File::open(program)?))),
        },
        Layer::Bytes(&settings),
    ];
    let spec = ImageSpec {
        reference: release.reference(),
        architecture: architecture().to_owned(),
        env: release.environment(),
        entrypoint: vec!["/arya".to_owned(), "sample".to_owned()],
        exposed_ports: vec![SAMPLE_PORT],
        ..ImageSpec::default()
    };
    // Both layouts are in use out there, so both are in the demo.
    let (image_digest, image_size) = replace(&image, |out| {
        match release {
            Release::Baseline => docker_save_classic(&spec, &layers, out),
            Release::Canary | Release::CanaryBad => oci_layout(&spec, &layers, out),
        }
        .map(|_| ())
    })?;
    let (compose_digest, compose_size) = replace(&compose, |out| out.write_all(release.compose().as_bytes()))?;
    let sample = Sample {
        reference: spec.reference,
        image,
        image_digest,
        compose,
        compose_digest,
    };
    Ok(Written {
        sample,
        image_size,
        compose_size,
    })
}

fn paths(release: Release, dir: &Path) -> (PathBuf, PathBuf) {
    let name = release.name();
    (
        dir.join(format!("{name}.tar")),
        dir.join(format!("{name}.compose.yaml")),
    )
}

fn program_layer(executable: &Path, out: &mut dyn Write) -> io::Result<()> {
    let program = File::open(executable)?;
    let size = program.metadata()?.len();
    let mut layer = LayerWriter::new(out);
    layer.file("arya", 0o755, size, program)?;
    layer.finish()?;
    Ok(())
}

fn settings_layer(release: Release) -> io::Result<Vec<u8>> {
    let settings = format!(
        "{{\"service\":\"charthealth-records\",\"version\":\"{}\"}}\n",
        release.version()
    );
    let mut layer = LayerWriter::new(Vec::new());
    layer.directory("etc", 0o755)?;
    layer.file(
        "etc/charthealth.json",
        0o644,
        settings.len() as u64,
        settings.as_bytes(),
    )?;
    layer.finish()
}

/// Go's name of the architecture this program was built for.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Writes under another name and renames. Answers the digest and the size of what was written.
fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<(Digest, u64)> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let written = write_hashed(&unfinished, write).and_then(|found| fs::rename(&unfinished, path).map(|()| found));
    written.map_err(|error| {
        // Already failing: what matters is that the first reason is told.
        let _ = fs::remove_file(&unfinished);
        naming(path, &error)
    })
}

fn write_hashed(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<(Digest, u64)> {
    let mut out = Hashed {
        out: BufWriter::with_capacity(COPY_BYTES, File::create(path)?),
        hash: Sha256::new(),
        size: 0,
    };
    write(&mut out)?;
    out.flush()?;
    Ok((digest(out.hash)?, out.size))
}

/// Large enough that the system calls do not count, small enough not to be noticed in memory.
const COPY_BYTES: usize = 256 * 1024;

struct Hashed<W> {
    out: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.out.write(bytes)?;
        self.hash.update(&bytes[..taken]);
        self.size += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return digest(hash),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn digest(hash: Sha256) -> io::Result<Digest> {
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().map_err(io::Error::other)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(naming(path, &error)),
        _ => Ok(()),
    }
}

/// An error of the system does not say which file.
fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arya_bundle::{Kind, Limits, describe};

    struct Place {
        dir: tempfile::TempDir,
        executable: PathBuf,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let executable = dir.path().join("arya-program");
        fs::write(&executable, b"not really a program").unwrap();
        Place { executable, dir }
    }

    impl Place {
        fn write(&self) -> Samples {
            write_samples(&self.executable, &self.dir.path().join("samples")).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.dir.path().join("samples")).unwrap();
            let mut names: Vec<String> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    #[track_caller]
    fn check(sample: &Sample, reference: &str, faulty: bool) {
        let image = describe(File::open(&sample.image).unwrap(), &Limits::default()).unwrap();
        let image = image.images.first().unwrap();
        assert_eq!(image.references, [reference]);
        assert_eq!(image.entrypoint, ["/arya", "sample"]);
        assert_eq!(image.exposed_ports, [8080]);
        assert_eq!(image.layers.len(), 2);
        assert_eq!(image.env_names.contains(&"SAMPLE_ERROR_SHARE".to_owned()), faulty);
        let compose = describe(File::open(&sample.compose).unwrap(), &Limits::default()).unwrap();
        assert_eq!(compose.kind, Kind::Compose);
        assert!(
            fs::read_to_string(&sample.compose)
                .unwrap()
                .contains(&format!("image: {reference}\n"))
        );
        assert_eq!(sample.image_digest, Digest::of(&fs::read(&sample.image).unwrap()));
        assert_eq!(sample.compose_digest, Digest::of(&fs::read(&sample.compose).unwrap()));
    }

    #[test]
    fn the_archives_are_read_back_as_images() {
        let place = place();
        let samples = place.write();
        check(&samples.baseline, "charthealth/records:1.0", false);
        check(&samples.canary, "charthealth/records:1.1", false);
        check(&samples.canary_bad, "charthealth/records:1.2", true);
        assert_eq!(samples.production, samples.baseline);
    }

    #[test]
    fn nothing_half_written_stays() {
        let place = place();
        place.write();
        let expected = [
            "baseline.compose.yaml",
            "baseline.tar",
            "canary.compose.yaml",
            "canary.tar",
            "canary_bad.compose.yaml",
            "canary_bad.tar",
            "samples.json",
        ];
        assert_eq!(place.names(), expected);
    }

    #[test]
    fn the_same_executable_is_packed_once() {
        let place = place();
        let first = place.write();
        let written = |samples: &Samples| fs::metadata(&samples.canary.image).unwrap().modified().unwrap();
        let before = written(&first);
        assert_eq!(place.write(), first);
        assert_eq!(written(&first), before);
    }

    #[test]
    fn another_executable_or_a_damaged_file_is_packed_again() {
        let place = place();
        let first = place.write();
        fs::write(&place.executable, b"a newer program").unwrap();
        let second = place.write();
        assert_ne!(second.canary.image_digest, first.canary.image_digest);
        File::options()
            .write(true)
            .open(&second.canary.image)
            .unwrap()
            .set_len(100)
            .unwrap();
        assert_eq!(place.write(), second);
        assert_eq!(
            second.canary.image_digest,
            Digest::of(&fs::read(&second.canary.image).unwrap())
        );
        fs::write(place.dir.path().join("samples/samples.json"), b"{").unwrap();
        assert_eq!(place.write(), second);
    }

    #[test]
    fn a_missing_executable_or_folder_is_named() {
        let place = place();
        let error = write_samples(&place.dir.path().join("nothing"), place.dir.path())
            .unwrap_err()
            .to_string();
        assert!(error.contains("nothing"), "{error}");
        let error = write_samples(&place.executable, &place.executable.join("below"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("below"), "{error}");
    }
}
