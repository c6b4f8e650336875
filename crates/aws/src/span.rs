//! Points in time before others.

use std::time::Duration;

use arya_judge::Timestamp;

pub(crate) fn before(at: Timestamp, span: Duration) -> Timestamp {
    at.checked_sub(span).unwrap_or(Timestamp::MIN)
}

/// The last end of such a span that is over; spans of whole seconds are counted from 1970 on, as AWS counts its own.
pub(crate) fn whole(at: Timestamp, every: Duration) -> Timestamp {
    let (seconds, every) = (at.as_second(), every.as_secs().cast_signed());
    Timestamp::from_second(seconds - seconds.rem_euclid(every)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_minutes_end_as_the_load_balancer_ends_them() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let whole = |seconds| whole(at(seconds), Duration::from_secs(300));
        assert_eq!((whole(3_299), whole(3_300)), (at(3_000), at(3_300)));
    }
}
