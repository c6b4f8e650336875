//! What production showed beside the blocks of both arms, each span once. It goes and is forgotten with its block.

use arya_judge::{Beside, Evidence};
use arya_plan::identity::DeploymentId;
use rusqlite::{Connection, Transaction, params};

use super::{StoreError, from_json, nanoseconds, to_json};

/// Adds what an answer holds of production, in the transaction of its blocks. A span that is known stays as it is.
pub(super) fn add(
    transaction: &Transaction<'_>,
    (id, epoch): (&str, u32),
    evidence: &Evidence,
) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(
        "INSERT OR IGNORE INTO beside (deployment, metric, epoch, ends_at, production) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for beside in evidence.production.iter().filter(|beside| beside.is_readable()) {
        insert.execute(params![
            id,
            evidence.metric,
            epoch,
            nanoseconds(beside.ends_at),
            to_json(beside)?
        ])?;
    }
    Ok(())
}

/// Forgets what stands beside blocks that were forgotten.
pub(super) fn forget(transaction: &Transaction<'_>, (id, epoch): (&str, u32), metric: &str) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "DELETE FROM beside WHERE deployment = ?1 AND metric = ?2 AND epoch = ?3 AND ends_at < (SELECT min(ends_at) \
             FROM blocks WHERE deployment = ?1 AND metric = ?2 AND epoch = ?3)",
        )?
        .execute(params![id, metric, epoch])?;
    Ok(())
}

/// Everything known of production beside a metric's blocks, oldest first.
pub(super) fn known(db: &Connection, id: &DeploymentId, epoch: u32, metric: &str) -> Result<Vec<Beside>, StoreError> {
    db.prepare_cached(
        "SELECT production FROM beside WHERE deployment = ?1 AND metric = ?2 AND epoch = ?3 ORDER BY ends_at",
    )?
    .query_map(params![id.to_string(), metric, epoch], |row| row.get::<_, String>(0))?
    .map(|json| from_json(&json?, "production beside a block"))
    .collect()
}
