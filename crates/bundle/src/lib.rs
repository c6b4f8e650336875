//! Reads what a user hands over: image archives and compose files. Recognises, checks, describes and unpacks them.
//!
//! Everything is hostile until checked, every buffer and list has a limit (`Limits`), and everything works on
//! `std::io::Read`. This crate must never know tokio, a network, a deployment, or any path except the one directory
//! that a caller asks it to unpack into.

mod catalogue;
mod compose;
mod describe;
mod description;
mod digest;
mod error;
mod header;
mod keys;
mod limits;
mod manifest;
pub mod pack;
mod pax;
mod pieces;
mod reference;
mod shown;
mod stream;
mod tarball;
#[cfg(test)]
mod testing;
mod unpack;

pub use compose::{
    Build, ComposeError, ComposeFile, DependsOn, EnvFile, Environment, EnvironmentValue, Finding, Healthcheck, Mount,
    MountSource, PortMapping, Service, Transport, Variable,
};
pub use describe::describe;
pub use description::{Description, ImageDescription, ImageEnvironment, Kind, LayerDescription};
pub use digest::{Digest, ParseDigestError};
pub use error::BundleError;
pub use limits::Limits;
pub use pieces::{Piece, Pieces};
pub use reference::{names_same_image, normalise_reference, split_registry};
pub use shown::{beginning, in_plain_words};
pub use unpack::{Skipped, Unpacked, Wanted, unpack_layers};
