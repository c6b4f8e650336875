//! How many requests came to production by each rule, from the last files that every node has written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arya_judge::Timestamp;
use arya_judge::source::SourceError;
use arya_judge::source::access_log::Ways;
use aws_sdk_s3::types::Object;

use super::{SETTLES_WITHIN, WRITES_EVERY, before, unpacked};
use crate::Inner;

/// Files of so many times five minutes are read.
const SPANS: u32 = 3;
/// Compressed bytes that are read for one plan: some ten million requests.
const BYTES_MAX: i64 = 64 * 1024 * 1024;

/// Requests by the listener's port and the rule's priority, 0 for the default rule.
pub(crate) struct LoggedWays {
    pub(crate) requests: BTreeMap<(u16, u32), u64>,
    pub(crate) seconds: u32,
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
        let until = whole(before(now, SETTLES_WITHIN));
        let from = before(until, WRITES_EVERY * SPANS);
        let mut files = self.log_files(&place, balancer, from..=until).await?;
        files.retain(|(ends_at, _)| (from..=until).contains(ends_at) && *ends_at != from);
        let (files, spans) = within(files, until)?;
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
            seconds: u32::try_from((WRITES_EVERY * spans).as_secs()).unwrap_or(u32::MAX),
            until,
        }))
    }
}

type Files = Vec<(Timestamp, Object)>;

/// As many of the five minutes, the last ones first, as may be read, and how many those are.
fn within(files: Files, until: Timestamp) -> Result<(Files, u32), SourceError> {
    if files.is_empty() {
        let what = "its access log has no file of the last minutes".into();
        return Err(SourceError::NoData { what });
    }
    let since = |spans: u32| {
        let from = before(until, WRITES_EVERY * spans);
        let those = files.iter().filter(|(ends_at, _)| *ends_at > from);
        those.cloned().collect::<Files>()
    };
    let bytes = |files: &Files| files.iter().filter_map(|(_, file)| file.size()).sum::<i64>();
    let read = (1..=SPANS).rev().map(|spans| (since(spans), spans));
    let read = read.into_iter().find(|(files, _)| bytes(files) <= BYTES_MAX);
    read.ok_or_else(|| SourceError::Malformed {
        what: format!("its access log has more than {BYTES_MAX} bytes in five minutes"),
    })
}

/// The last end of five minutes.
fn whole(at: Timestamp) -> Timestamp {
    let (seconds, every) = (at.as_second(), Duration::as_secs(&WRITES_EVERY).cast_signed());
    Timestamp::from_second(seconds - seconds.rem_euclid(every)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(ends: i64, size: i64) -> (Timestamp, Object) {
        let ends = Timestamp::from_second(ends).unwrap();
        (ends, Object::builder().key(ends.to_string()).size(size).build())
    }

    fn check(files: Vec<(Timestamp, Object)>, wanted: Option<(usize, u32)>) {
        let found = within(files, Timestamp::from_second(3_000).unwrap()).ok();
        assert_eq!(found.map(|(files, spans)| (files.len(), spans)), wanted);
    }

    #[test]
    fn no_more_is_read_than_fits_and_the_last_minutes_first() {
        check(vec![], None);
        check(
            vec![file(2_400, 1), file(2_700, 1), file(3_000, 1), file(3_000, 1)],
            Some((4, 3)),
        );
        check(
            vec![file(2_400, BYTES_MAX), file(2_700, 1), file(3_000, 1)],
            Some((2, 2)),
        );
        check(vec![file(2_700, BYTES_MAX), file(3_000, 1)], Some((1, 1)));
        check(vec![file(3_000, BYTES_MAX), file(3_000, 1)], None);
    }

    #[test]
    fn five_minutes_end_as_the_load_balancer_ends_them() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!((whole(at(3_299)), whole(at(3_300))), (at(3_000), at(3_300)));
    }
}
