//! A large file, sent in turn by the adapter and by the `aws` command, each as a process of its own from its start to its
//! end, to the same server.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use arya_aws::BareBucket;
use arya_plan::spec::Digest;

use crate::server::{BUCKET, KEY, REGION, SECRET, Server, connection, digest_of, target};

/// The word that makes this program send a file.
pub(crate) const SEND: &str = "send";
const RATIO_MIN: f64 = 0.9;
const ADDED_MIB_MAX: f64 = 64.0;
/// The machine's moods fall on one of them; the best of each counts.
const ROUNDS: usize = 5;
const MIB: u64 = 1024 * 1024;
const USUAL_MIB: u64 = 1024;

/// Sends a small file and then this one; says how much memory the process held between them and at most, in KiB.
pub(crate) async fn send(endpoint: &str, file: &Path, digest: &str) {
    let bucket = BareBucket::of(&connection(endpoint), BUCKET).await.unwrap();
    let small = file.with_extension("small");
    std::fs::write(&small, b"small").unwrap();
    bucket.send(&Digest::of(b"small"), &small).await.unwrap();
    let idle = resident("VmRSS:");
    bucket.send(&digest.parse().unwrap(), file).await.unwrap();
    println!("{idle} {}", resident("VmHWM:"));
}

fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Whether both bounds were kept; the figures are printed.
pub(crate) fn a_gigabyte_arrives_as_fast_as_by_the_aws_command() -> bool {
    let mib = std::env::var("ARYA_S3_MIB").map_or(USUAL_MIB, |text| text.parse().unwrap());
    let server = Server::start();
    let file = server.folder.path().join("image.tar");
    write_noise(&file, mib * MIB);
    let digest = digest_of(&file);
    let (mut ours, mut theirs, mut added) = (f64::MAX, f64::MAX, 0.0_f64);
    for _ in 0..ROUNDS {
        let (took, said) = seconds(
            Command::new(std::env::current_exe().unwrap())
                .args([SEND, &server.endpoint])
                .arg(&file)
                .arg(digest.to_string()),
        );
        let memory: Vec<f64> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
        let stored = server.stored(&BareBucket::key(&digest));
        assert_eq!(digest_of(&stored), digest, "other bytes arrived");
        std::fs::remove_file(stored).unwrap();
        (ours, added) = (ours.min(took), added.max((memory[1] - memory[0]) / 1024.0));
        let (took, _) = seconds(
            Command::new(target().join("awscli/bin/aws"))
                .args(["s3", "cp", "--quiet", "--endpoint-url", &server.endpoint])
                .arg(&file)
                .arg(format!("s3://{BUCKET}/copied"))
                .env("AWS_ACCESS_KEY_ID", KEY)
                .env("AWS_SECRET_ACCESS_KEY", SECRET)
                .env("AWS_REGION", REGION)
                .env("AWS_CONFIG_FILE", "/dev/null")
                .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        );
        std::fs::remove_file(server.stored("copied")).unwrap();
        theirs = theirs.min(took);
    }
    let (speed, ratio) = (|took: f64| mib as f64 / took, theirs / ours);
    println!(
        "   upload of {mib} MiB: {:.0} MiB/s, `aws s3 cp` {:.0} MiB/s: {ratio:.2} × (≥ {RATIO_MIN})",
        speed(ours),
        speed(theirs)
    );
    println!("   upload of {mib} MiB: {added:.1} MiB above idle at most (≤ {ADDED_MIB_MAX})");
    ratio >= RATIO_MIN && added <= ADDED_MIB_MAX
}

/// How long it took, and what it said.
fn seconds(command: &mut Command) -> (f64, String) {
    let begun = Instant::now();
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    let took = begun.elapsed().as_secs_f64();
    assert!(output.status.success(), "{command:?}");
    (took, String::from_utf8(output.stdout).unwrap())
}

/// Bytes of a linear congruential generator (Knuth's MMIX constants).
fn write_noise(path: &Path, bytes: u64) {
    let (mut out, mut state) = (BufWriter::with_capacity(1 << 20, File::create(path).unwrap()), 1_u64);
    for _ in 0..bytes / 8 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        out.write_all(&(state ^ (state >> 29)).to_le_bytes()).unwrap();
    }
    out.flush().unwrap();
}
