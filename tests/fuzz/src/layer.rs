//! Layers of an archive whose documents and digests are right, so that their entries reach the disk.

use arya_bundle::Wanted;
use arya_bundle::pack::{ImageSpec, Layer, docker_save_classic, oci_layout};

use crate::archive::mend;
use crate::bundle::unpack;

const OCI: u8 = 1;
const BLOCK: usize = 512;

/// The first byte chooses the layout, the second how many blocks belong to the lower of two layers.
pub(crate) fn run(bytes: &[u8]) {
    let [mode, blocks, layers @ ..] = bytes else { return };
    let (lower, upper) = layers.split_at(layers.len().min(usize::from(*blocks) * BLOCK));
    let (mut lower, mut upper) = (lower.to_vec(), upper.to_vec());
    mend(&mut lower);
    mend(&mut upper);
    let layers = [Layer::Bytes(&lower), Layer::Bytes(&upper)];
    let mut archive = Vec::new();
    let packed = if mode & OCI == 0 {
        docker_save_classic(&ImageSpec::default(), &layers, &mut archive)
    } else {
        oci_layout(&ImageSpec::default(), &layers, &mut archive)
    };
    packed.expect("writing into memory cannot fail");
    unpack(&archive, Wanted::TheOnly);
}
