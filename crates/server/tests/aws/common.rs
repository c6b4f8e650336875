//! What the adapter's own tests read user data with.

#[path = "../../../aws/tests/common/told.rs"]
pub(crate) mod told;
