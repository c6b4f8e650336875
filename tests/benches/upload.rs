//! An image archive through the API: what it adds to the server's memory, and how fast it is beside `cp` and `sha256sum`
//! of the same file.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arya_bundle::pack::{ImageSpec, Layer, LayerWriter, docker_save_classic};
use tests::{Arya, workspace_root};

use crate::Form;
use crate::process::{MIB, pass, resident_mib};
use crate::table::{Table, median};

const ADDED_MIB_MAX: f64 = 32.0;
/// The disk's own moods fall on one turn of three, and the median is of another.
const ROUNDS: usize = 3;
/// An upload reads, hashes and writes as the two programs together do, and looks into the archive besides.
const SPEED_MIN: f64 = 0.5;
const LOOK: Duration = Duration::from_millis(5);

pub(crate) fn bench(form: Form, table: &mut Table) {
    let bytes = form.choose(128, 2048) * 1024 * 1024;
    // Beside the build, since temporary folders are often memory.
    let folder = tempfile::tempdir_in(workspace_root().join("target")).unwrap();
    let archive = folder.path().join("image.tar");
    write_archive(folder.path(), &archive, bytes);
    let size = std::fs::metadata(&archive).unwrap().len() as f64 / MIB;

    let data = folder.path().join("data");
    let arya = Arya::start_in(&data, &["--load", "0"]);
    // The client's connection and the server's first buffers are not the upload's.
    arya.put_file(&arya.sample("baseline", "compose"));
    pass(Duration::from_secs(1));
    let [before, _] = resident_mib(arya.pid());
    let (mut highest, mut upload_s, mut copy_s, mut hash_s) = (before, Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (took, reached) = upload(&arya, &archive);
        highest = highest.max(reached);
        upload_s.push(took);
        copy_s.push(seconds(|| {
            run(Command::new("cp").arg(&archive).arg(folder.path().join("copy")));
        }));
        hash_s.push(seconds(|| {
            run(Command::new("sha256sum").arg(&archive).stdout(Stdio::null()));
        }));
    }
    let [upload_s, copy_s, hash_s] = [upload_s, copy_s, hash_s].map(median);

    let what = format!("upload of {size:.0} MiB: memory added to the server");
    let remark = format!("from {before:.1} MiB");
    table.at_most(&what, ADDED_MIB_MAX, highest - before, " MiB", &remark);
    let remark = format!(
        "{:.0} MiB/s; cp {:.0}, sha256sum {:.0}",
        size / upload_s,
        size / copy_s,
        size / hash_s
    );
    table.at_least(
        "upload: speed beside cp and sha256sum in turn",
        SPEED_MIN,
        (copy_s + hash_s) / upload_s,
        " ×",
        &remark,
    );
}

/// How many seconds it took, and the highest memory of the server meanwhile, in MiB.
fn upload(arya: &Arya, archive: &Path) -> (f64, f64) {
    let [before, highest_before] = resident_mib(arya.pid());
    let uploading = AtomicBool::new(true);
    let (upload_s, highest) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut highest = before;
            while uploading.load(Ordering::SeqCst) {
                highest = resident_mib(arya.pid())[0].max(highest);
                pass(LOOK);
            }
            highest
        });
        let upload_s = seconds(|| {
            let (status, answer) = arya.put_file(archive);
            assert!(status < 300, "{answer}");
            assert_eq!(answer["kind"], "image_archive");
        });
        uploading.store(false, Ordering::SeqCst);
        (upload_s, watching.join().unwrap())
    });
    // The kernel's own highest mark misses nothing between two looks, but knows nothing below that of the start.
    let [_, highest_after] = resident_mib(arya.pid());
    if highest_after > highest_before {
        (upload_s, highest_after)
    } else {
        (upload_s, highest)
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// One layer with one file that does not compress, as `docker save` would write it.
fn write_archive(folder: &Path, archive: &Path, bytes: u64) {
    let layer = folder.join("layer.tar");
    let mut writer = LayerWriter::new(File::create(&layer).unwrap());
    writer.file("blob", 0o644, bytes, Noise(1).take(bytes)).unwrap();
    writer.finish().unwrap();
    let spec = ImageSpec {
        reference: "bench:1".to_owned(),
        architecture: "amd64".to_owned(),
        entrypoint: vec!["/blob".to_owned()],
        ..ImageSpec::default()
    };
    let stream = Layer::Stream {
        size: std::fs::metadata(&layer).unwrap().len(),
        open: Box::new(|| Ok(Box::new(File::open(&layer)?))),
    };
    let mut out = File::create(archive).unwrap();
    docker_save_classic(&spec, &[stream], &mut out).unwrap();
    out.flush().unwrap();
    std::fs::remove_file(&layer).unwrap();
}

/// Bytes of a linear congruential generator (Knuth's MMIX constants): no compression finds anything in them.
struct Noise(u64);

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for eight in buffer.chunks_mut(8) {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            eight.copy_from_slice(&(self.0 ^ (self.0 >> 29)).to_le_bytes()[..eight.len()]);
        }
        Ok(buffer.len())
    }
}
