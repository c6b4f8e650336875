//! How many requests came to production by each rule, from the last files that every node has written.

use std::collections::{BTreeMap, BTreeSet};

use arya_judge::Timestamp;
use arya_judge::source::SourceError;
use arya_judge::source::access_log::Ways;
use aws_sdk_s3::types::Object;

use super::{SETTLES_WITHIN, WRITES_EVERY, unpacked};
use crate::Inner;
use crate::span::{before, whole};

/// Files of so many times five minutes are read.
const SPANS: u32 = 3;
/// And so many before are looked for: without any, nothing was written then.
const SPANS_BEFORE: u32 = 3;
/// Compressed bytes that are read for one plan: some ten million requests.
const BYTES_MAX: i64 = 64 * 1024 * 1024;

/// Requests by the listener's port and the rule's priority, 0 for the default rule.
pub(crate) struct LoggedWays {
    pub(crate) requests: BTreeMap<(u16, u32), u64>,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Inner {
    /// What the load balancer's access log has of these groups; `None` where none is written.
    pub(crate) async fn logged_ways(
        &self,
        balancer: &str,
        groups: BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Option<LoggedWays>, SourceError> {
        let Some(place) = self.log_place(balancer, now).await? else {
            return Ok(None);
        };
        let until = whole(before(now, SETTLES_WITHIN), WRITES_EVERY);
        let from = before(until, WRITES_EVERY * (SPANS + SPANS_BEFORE));
        let mut files = self.log_files(&place, balancer, from..=until).await?;
        files.retain(|(ends_at, _)| (from..=until).contains(ends_at));
        let (files, from) = within(files, until)?;
        let mut ways = Ways::to(groups);
        for (_, object) in files {
            let bytes = self.log_file(&place, &object, &mut None).await?;
            let key = object.key().unwrap_or_default().to_owned();
            // Some megabytes to unpack: not where requests of others are served.
            let read = tokio::task::spawn_blocking(move || {
                let said = unpacked(&key, bytes, |lines| ways.read_from(lines));
                said.map(|()| ways)
            });
            ways = read
                .await
                .unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))?;
        }
        Ok(Some(LoggedWays {
            requests: ways.requests()?.clone(),
            from,
            until,
        }))
    }
}

type Files = Vec<(Timestamp, Object)>;

/// As many of the five minutes, the last ones first, as may be read, and when those begin. A log that was switched on just
/// now begins with its first file: of the time before nothing is known.
fn within(files: Files, until: Timestamp) -> Result<(Files, Timestamp), SourceError> {
    let since = |spans: u32| {
        let from = before(until, WRITES_EVERY * spans);
        let those = files.iter().filter(|(ends_at, _)| *ends_at > from);
        (those.cloned().collect::<Files>(), from)
    };
    let first = files.iter().map(|(ends_at, _)| before(*ends_at, WRITES_EVERY)).min();
    let Some(first) = first.filter(|_| !since(SPANS).0.is_empty()) else {
        let what = "its access log has no file of the last minutes".into();
        return Err(SourceError::NoData { what });
    };
    let fit = |files: &Files| files.iter().filter_map(|(_, file)| file.size()).sum::<i64>() <= BYTES_MAX;
    let read = (1..=SPANS).rev().map(since).find(|(files, _)| fit(files));
    let (read, from) = read.ok_or_else(|| SourceError::Malformed {
        what: format!("its access log has more than {BYTES_MAX} bytes in five minutes"),
    })?;
    Ok((read, from.max(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(ends: i64, size: i64) -> (Timestamp, Object) {
        let ends = Timestamp::from_second(ends).unwrap();
        (ends, Object::builder().key(ends.to_string()).size(size).build())
    }

    /// Files and seconds that are read.
    fn check(files: Vec<(Timestamp, Object)>, wanted: Option<(usize, i64)>) {
        let until = Timestamp::from_second(3_000).unwrap();
        let found = within(files, until).ok();
        let told = found.map(|(files, from)| (files.len(), until.duration_since(from).as_secs()));
        assert_eq!(told, wanted);
    }

    #[test]
    fn no_more_is_read_than_fits_and_the_last_minutes_first() {
        check(vec![], None);
        check(
            vec![file(2_400, 1), file(2_700, 1), file(3_000, 1), file(3_000, 1)],
            Some((4, 900)),
        );
        check(
            vec![file(2_400, BYTES_MAX), file(2_700, 1), file(3_000, 1)],
            Some((2, 600)),
        );
        check(vec![file(2_700, BYTES_MAX), file(3_000, 1)], Some((1, 300)));
        check(vec![file(3_000, BYTES_MAX), file(3_000, 1)], None);
    }

    #[test]
    fn a_log_that_was_switched_on_just_now_is_counted_from_its_first_file_on_and_a_quiet_one_is_not() {
        check(vec![file(3_000, 1)], Some((1, 300)));
        check(vec![file(2_700, 1), file(3_000, 1)], Some((2, 600)));
        // It was on before, so that nobody came in the minutes without a file.
        check(vec![file(2_100, 1), file(3_000, 1)], Some((1, 900)));
        check(vec![file(2_100, 1)], None);
    }
}
