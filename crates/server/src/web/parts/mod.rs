//! Pieces that several pages show. Each turns a document of the API into words and geometry; none asks anybody.

pub(crate) mod facts;
pub(crate) mod file;
pub(crate) mod instance;
pub(crate) mod kayenta;
pub(crate) mod metric;
pub(crate) mod proof;
pub(crate) mod rail;
pub(crate) mod rule;
pub(crate) mod share;
pub(crate) mod traffic;
pub(crate) mod verdict;
