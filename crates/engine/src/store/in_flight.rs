//! The steps that are being carried out. A process that dies among them leaves their words, and the next start can say
//! what it was doing; whether they took effect is seen, never read from here.

use arya_plan::identity::DeploymentId;
use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, from_json, to_json};

impl Store {
    /// Keeps the words of the steps that are about to be carried out.
    pub(crate) fn begin_steps(&self, id: &DeploymentId, steps: &[String]) -> Result<(), StoreError> {
        self.db()
            .prepare_cached(
                "INSERT INTO in_flight (deployment, steps) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET steps = ?2",
            )?
            .execute(params![id.to_string(), to_json(&steps)?])?;
        Ok(())
    }

    /// All of them were answered, or given up.
    pub(crate) fn end_steps(&self, id: &DeploymentId) -> Result<(), StoreError> {
        self.db()
            .prepare_cached("DELETE FROM in_flight WHERE deployment = ?1")?
            .execute([id.to_string()])?;
        Ok(())
    }

    /// The steps that were begun and not ended, in their own words.
    pub(crate) fn steps_in_flight(&self, id: &DeploymentId) -> Result<Vec<String>, StoreError> {
        let json: Option<String> = self
            .db()
            .prepare_cached("SELECT steps FROM in_flight WHERE deployment = ?1")?
            .query_row([id.to_string()], |row| row.get(0))
            .optional()?;
        json.map_or_else(|| Ok(Vec::new()), |json| from_json(&json, "the steps in flight"))
    }
}
