//! Measurements, each block once, and the verdicts that were said of them.

use arya_judge::{Block, CountBlock, Evidence, MAX_BLOCKS, MetricConfig, Outcome, Timestamp, Verdict};
use arya_plan::identity::DeploymentId;
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, beside, from_json, nanoseconds, timestamp, to_json};

/// The newest blocks of a metric that are kept: four times what is judged one by one, so a week of 15 s blocks.
pub const BLOCKS_KEPT: usize = 4 * MAX_BLOCKS;
/// Changes of outcome that are kept; the judge's tests cannot swing more often than they are asked.
pub const VERDICTS_KEPT: usize = 1_000;

/// A verdict as it was said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredVerdict {
    pub at: Timestamp,
    pub verdict: Verdict,
    /// SHA-256 of the blocks that were judged.
    pub evidence_digest: String,
}

impl Store {
    /// Adds what a source answered. A block that is known already stays as it is; returns how many are new.
    pub(crate) fn add_blocks(&self, id: &DeploymentId, epoch: u32, evidence: &Evidence) -> Result<usize, StoreError> {
        let (id, metric) = (id.to_string(), &evidence.metric);
        let mut db = self.db();
        let transaction = db.transaction()?;
        transaction
            .prepare_cached(
                "INSERT INTO series (deployment, metric, epoch, source, query, block_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT DO UPDATE SET source = ?4, query = ?5, block_s = ?6",
            )?
            .execute(params![
                id,
                metric,
                epoch,
                evidence.source,
                evidence.query,
                evidence.block_s
            ])?;
        let mut added = 0;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO blocks (deployment, metric, epoch, ends_at, baseline_events, canary_events, \
                 baseline_exposure, canary_exposure, wide) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            // What cannot be read today cannot be read tomorrow either, so it is not stored.
            for block in evidence.blocks.iter().filter(|block| block.is_readable()) {
                let (counts, wide) = match block {
                    Block::Counts(counts) => (Some(counts), None),
                    Block::Histogram(_) | Block::Gauge(_) => (None, Some(to_json(block)?)),
                };
                let count = |of: fn(&CountBlock) -> f64| counts.map_or(0.0, of);
                added += insert.execute(params![
                    id,
                    metric,
                    epoch,
                    nanoseconds(block.ends_at()),
                    count(|counts| counts.baseline_events),
                    count(|counts| counts.canary_events),
                    count(|counts| counts.baseline_exposure),
                    count(|counts| counts.canary_exposure),
                    wide,
                ])?;
            }
        }
        beside::add(&transaction, (&id, epoch), evidence)?;
        transaction
            .prepare_cached(
                "DELETE FROM blocks WHERE deployment = ?1 AND metric = ?2 AND epoch = ?3 AND ends_at <= (SELECT ends_at \
                 FROM blocks WHERE deployment = ?1 AND metric = ?2 AND epoch = ?3 ORDER BY ends_at DESC LIMIT 1 OFFSET ?4)",
            )?
            .execute(params![id, metric, epoch, BLOCKS_KEPT as i64])?;
        beside::forget(&transaction, (&id, epoch), metric)?;
        transaction.commit()?;
        Ok(added)
    }

    /// Everything known of a metric, oldest first; `None` = nothing yet.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn evidence(
        &self,
        id: &DeploymentId,
        epoch: u32,
        metric: &MetricConfig,
    ) -> Result<Option<Evidence>, StoreError> {
        let (deployment, name) = (id, &metric.name);
        let id = id.to_string();
        let db = self.db();
        let series: Option<(String, String, f64)> = db
            .prepare_cached(
                "SELECT source, query, block_s FROM series WHERE deployment = ?1 AND metric = ?2 AND epoch = ?3",
            )?
            .query_row(params![id, name, epoch], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let Some((source, query, block_s)) = series else {
            return Ok(None);
        };
        let rows = db
            .prepare_cached(
                "SELECT ends_at, baseline_events, canary_events, baseline_exposure, canary_exposure, wide FROM blocks \
                 WHERE deployment = ?1 AND metric = ?2 AND epoch = ?3 ORDER BY ends_at",
            )?
            .query_map(params![id, name, epoch], |row| Ok((counts(row)?, row.get(5)?)))?
            .collect::<Result<Vec<(CountBlock, Option<String>)>, _>>()?;
        let blocks = rows.into_iter().map(|(counts, wide)| match wide {
            Some(json) => from_json(&json, "a block"),
            None => Ok(Block::Counts(counts)),
        });
        let blocks = blocks.collect::<Result<Vec<Block>, StoreError>>()?;
        Ok(Some(Evidence {
            metric: name.clone(),
            source,
            query,
            block_s,
            blocks,
            production: beside::known(&db, deployment, epoch, name)?,
            problem: None,
        }))
    }

    /// The end of the newest block of a metric.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn last_block(&self, id: &DeploymentId, epoch: u32, metric: &str) -> Result<Option<Timestamp>, StoreError> {
        let ends_at: Option<i64> = self
            .db()
            .prepare_cached("SELECT max(ends_at) FROM blocks WHERE deployment = ?1 AND metric = ?2 AND epoch = ?3")?
            .query_row(params![id.to_string(), metric, epoch], |row| row.get(0))?;
        Ok(ends_at.map(timestamp))
    }

    /// Keeps a verdict: a new row when the outcome changed, else the newest row says it anew.
    pub(crate) fn keep_verdict(&self, id: &DeploymentId, verdict: &StoredVerdict) -> Result<(), StoreError> {
        let mut db = self.db();
        let transaction = db.transaction()?;
        let outcome = outcome_word(verdict.verdict.outcome);
        let (at, json) = (nanoseconds(verdict.at), to_json(&verdict.verdict)?);
        let last: Option<(i64, String)> = transaction
            .prepare_cached("SELECT id, outcome FROM verdicts WHERE deployment = ?1 ORDER BY id DESC LIMIT 1")?
            .query_row([id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match last {
            Some((row, said)) if said == outcome => transaction
                .prepare_cached("UPDATE verdicts SET at = ?2, verdict = ?3, evidence_digest = ?4 WHERE id = ?1")?
                .execute(params![row, at, json, verdict.evidence_digest])?,
            Some(_) | None => transaction
                .prepare_cached(
                    "INSERT INTO verdicts (deployment, at, outcome, verdict, evidence_digest) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![id.to_string(), at, outcome, json, verdict.evidence_digest])?,
        };
        transaction
            .prepare_cached(
                "DELETE FROM verdicts WHERE deployment = ?1 AND id <= \
                 (SELECT id FROM verdicts WHERE deployment = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![id.to_string(), VERDICTS_KEPT as i64])?;
        transaction.commit()?;
        Ok(())
    }

    /// The verdict that was said last; of a given outcome, if one is named.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn last_verdict(
        &self,
        id: &DeploymentId,
        outcome: Option<Outcome>,
    ) -> Result<Option<StoredVerdict>, StoreError> {
        let row: Option<(i64, String, String)> = self
            .db()
            .prepare_cached(
                "SELECT at, verdict, evidence_digest FROM verdicts WHERE deployment = ?1 AND (?2 IS NULL OR outcome = ?2) \
                 ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![id.to_string(), outcome.map(outcome_word)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        row.map(|(at, json, evidence_digest)| {
            Ok(StoredVerdict {
                at: timestamp(at),
                verdict: from_json(&json, "a verdict")?,
                evidence_digest,
            })
        })
        .transpose()
    }
}

fn counts(row: &Row<'_>) -> rusqlite::Result<CountBlock> {
    Ok(CountBlock {
        ends_at: timestamp(row.get(0)?),
        baseline_events: row.get(1)?,
        canary_events: row.get(2)?,
        baseline_exposure: row.get(3)?,
        canary_exposure: row.get(4)?,
    })
}

const fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Harmful => "harmful",
        Outcome::NoWorse => "no_worse",
        Outcome::Inconclusive => "inconclusive",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arya_judge::{Buckets, GaugeBlock, HistogramBlock};
    use uuid::Uuid;

    fn block(second: i64, canary_events: f64) -> CountBlock {
        CountBlock {
            ends_at: Timestamp::from_second(second).unwrap(),
            baseline_events: 1.0,
            canary_events,
            baseline_exposure: 100.0,
            canary_exposure: 100.0,
        }
    }

    /// Adds each answer in turn to an empty store; the canary's events that are then known.
    fn check(answers: &[Vec<CountBlock>], expected: &[f64]) {
        let store = Store::in_memory().unwrap();
        store.db().pragma_update(None, "foreign_keys", false).unwrap();
        let (id, metric) = (DeploymentId::new(Uuid::nil()), MetricConfig::error_share("errors", "q"));
        for blocks in answers {
            let evidence = Evidence {
                metric: "errors".into(),
                source: "s".into(),
                query: "q".into(),
                block_s: 5.0,
                blocks: blocks.iter().copied().map(Block::from).collect(),
                production: Vec::new(),
                problem: None,
            };
            store.add_blocks(&id, 0, &evidence).unwrap();
        }
        let known = store.evidence(&id, 0, &metric).unwrap().unwrap();
        let events: Vec<f64> = known
            .blocks
            .iter()
            .map(|block| match block {
                Block::Counts(counts) => counts.canary_events,
                Block::Histogram(_) | Block::Gauge(_) => f64::NAN,
            })
            .collect();
        assert_eq!(events, expected);
        assert_eq!(store.evidence(&id, 1, &metric).unwrap(), None);
    }

    #[test]
    fn a_block_that_is_read_twice_counts_once() {
        let answers = [
            vec![block(5, 1.0), block(10, 2.0)],
            vec![block(10, 9.0), block(15, 3.0)],
        ];
        check(&answers, &[1.0, 2.0, 3.0]);
    }

    #[test]
    fn blocks_come_back_in_the_order_of_time() {
        check(&[vec![block(15, 3.0)], vec![block(5, 1.0)]], &[1.0, 3.0]);
    }

    #[test]
    fn what_is_no_count_is_not_stored() {
        let odd = vec![
            block(5, f64::NAN),
            block(10, -1.0),
            block(15, f64::INFINITY),
            block(20, 4.0),
        ];
        check(&[odd], &[4.0]);
    }

    #[test]
    fn blocks_of_every_kind_come_back_as_they_were() {
        let store = Store::in_memory().unwrap();
        store.db().pragma_update(None, "foreign_keys", false).unwrap();
        let (id, metric) = (DeploymentId::new(Uuid::nil()), MetricConfig::latency("latency", "q"));
        let at = |second| Timestamp::from_second(second).unwrap();
        let buckets = || Buckets::from_cumulative([(0.1, 3.0), (0.25, 4.0), (f64::INFINITY, 5.0)]);
        let evidence = Evidence {
            metric: "latency".into(),
            source: "s".into(),
            query: "q".into(),
            block_s: 15.0,
            blocks: vec![
                Block::Histogram(HistogramBlock {
                    ends_at: at(15),
                    baseline: buckets(),
                    canary: buckets(),
                }),
                Block::Gauge(GaugeBlock {
                    ends_at: at(30),
                    baseline: 0.1,
                    canary: -7.25e11,
                }),
            ],
            production: Vec::new(),
            problem: None,
        };
        store.add_blocks(&id, 0, &evidence).unwrap();
        assert_eq!(store.evidence(&id, 0, &metric).unwrap(), Some(evidence));
    }

    #[test]
    fn an_answer_without_blocks_is_known_as_such() {
        check(&[vec![]], &[]);
    }
}
