//! By which metrics a deployment is judged.

use arya_judge::MetricConfig;
use arya_plan::identity::DeploymentId;
use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, from_json, to_json};

impl Store {
    /// The metrics that were chosen for a filling of a deployment's arms; `None` = none yet.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn metrics(&self, id: &DeploymentId, epoch: u32) -> Result<Option<Vec<MetricConfig>>, StoreError> {
        let json: Option<String> = self
            .db()
            .prepare_cached("SELECT metrics FROM judged_by WHERE deployment = ?1 AND epoch = ?2")?
            .query_row(params![id.to_string(), epoch], |row| row.get(0))
            .optional()?;
        json.map(|json| from_json(&json, "the metrics of a deployment"))
            .transpose()
    }

    /// Keeps a choice; the first one stays.
    pub(crate) fn keep_metrics(
        &self,
        id: &DeploymentId,
        epoch: u32,
        metrics: &[MetricConfig],
    ) -> Result<(), StoreError> {
        self.db()
            .prepare_cached("INSERT OR IGNORE INTO judged_by (deployment, epoch, metrics) VALUES (?1, ?2, ?3)")?
            .execute(params![id.to_string(), epoch, to_json(&metrics)?])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arya_judge::source::pack::{error_share_of_clients, latency_of_targets};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_first_choice_stays() {
        let store = Store::in_memory().unwrap();
        store.db().pragma_update(None, "foreign_keys", false).unwrap();
        let id = DeploymentId::new(Uuid::nil());
        assert_eq!(store.metrics(&id, 0).unwrap(), None);
        let both = vec![error_share_of_clients(), latency_of_targets()];
        store.keep_metrics(&id, 0, &both).unwrap();
        store.keep_metrics(&id, 0, &both[..1]).unwrap();
        assert_eq!(store.metrics(&id, 0).unwrap(), Some(both));
        assert_eq!(store.metrics(&id, 1).unwrap(), None);
    }
}
