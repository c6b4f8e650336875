//! How much of a hostile input we are willing to look at. Must never know what the input is for.

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Every bound that reading an archive or a compose file keeps. Sizes are in bytes.
///
/// The defaults admit any image that Docker itself would build, and hold memory below 64 MiB while describing and below
/// 256 MiB while unpacking; `tests/hostile.rs` measures both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Entries in the outer archive. An image has at most `layers` layers with three files each.
    pub archive_entries: u64,
    /// Entries in one layer. Large images ship some 200,000 files in all.
    pub layer_entries: u64,
    /// Entries in all layers of one image together, since each takes an inode even if it is empty.
    pub image_entries: u64,
    /// Questions to the file system while one image is unpacked. An entry needs two or three; in a tree built to be deep
    /// it could need hundreds.
    pub lookups: u64,
    /// Bytes of the archive after decompression, and of all layers of one image after theirs when unpacking.
    pub unpacked_bytes: u64,
    /// Expanded bytes for each compressed byte. Real layers stay below 20; a bomb is above 500.
    pub expansion_ratio: u64,
    /// Expanded bytes before `expansion_ratio` is looked at, so that a small, very regular file is not a bomb.
    pub expansion_grace: u64,
    /// One JSON document of an archive. A config of a hundred layers is about 50 KiB.
    pub json_bytes: u64,
    /// All JSON documents kept of one archive. Beyond it documents are hashed and forgotten, and missed only if needed.
    /// Also all that are parsed, each as often as another one names it.
    pub json_total_bytes: u64,
    /// Names, variables, words and ports that all images of an archive say of themselves. One has a hundred at most.
    pub image_words: u64,
    /// One path, as Linux bounds it.
    pub path_bytes: u64,
    /// Names in one path. Removing a tree holds a file descriptor for each level, and a process may have 1024.
    pub path_parts: u64,
    /// Bytes of all paths of the outer archive: they are remembered while it is read.
    pub archive_paths_bytes: u64,
    /// Bytes of all paths of one layer, those of directories that its entries only imply included.
    pub layer_paths_bytes: u64,
    /// Layers of one image. Docker's own bound is 127.
    pub layers: u64,
    /// Images in one archive. A pair of arms needs one each; build tools write a few.
    pub images: u64,
    /// A compose file.
    pub compose_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive_entries: 20_000,
            layer_entries: 500_000,
            image_entries: 1_000_000,
            lookups: 5_000_000,
            unpacked_bytes: 32 * GIB,
            expansion_ratio: 200,
            expansion_grace: 64 * MIB,
            json_bytes: MIB,
            json_total_bytes: 16 * MIB,
            image_words: 20_000,
            path_bytes: 4096,
            path_parts: 256,
            archive_paths_bytes: 4 * MIB,
            layer_paths_bytes: 64 * MIB,
            layers: 127,
            images: 32,
            compose_bytes: MIB,
        }
    }
}
