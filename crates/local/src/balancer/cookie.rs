//! The stickiness cookies `AWSALBTG` and `AWSALBTGCORS`: which group a client stays with, and until when.
//!
//! The value is opaque to clients: expiry and group id in hexadecimal, with a keyed hash so that nobody can choose a
//! group for himself. The key lives as long as the balancer; an older cookie is ignored and the client drawn anew.

use arya_plan::listener::GroupId;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

const NAME: &str = "AWSALBTG";
const NAME_CORS: &str = "AWSALBTGCORS";
const EXPIRY_BYTES: usize = 8;
/// 128 bits of the hash: nobody guesses it within a cookie's life.
const TAG_BYTES: usize = 16;
/// An id is an ARN at the longest; whatever is longer was not made here.
const VALUE_MAX: usize = 2 * (EXPIRY_BYTES + TAG_BYTES + 512);

/// The secret that makes cookies ours.
pub(super) struct CookieKey([u8; 32]);

impl std::fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CookieKey(..)")
    }
}

impl CookieKey {
    pub(super) const fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The group that a request's cookies name, if one of them is ours and not over.
    pub(super) fn group(&self, headers: &HeaderMap, now: Timestamp) -> Option<GroupId> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs.find_map(|(name, value)| {
            (name == NAME || name == NAME_CORS)
                .then(|| self.open(value, now))
                .flatten()
        })
    }

    /// Both `Set-Cookie` values for a client that got `group`.
    pub(super) fn set(&self, group: &GroupId, stickiness_s: u32, now: Timestamp) -> [HeaderValue; 2] {
        let expiry = now
            .saturating_add(SignedDuration::from_secs(i64::from(stickiness_s)))
            .unwrap_or(Timestamp::MAX);
        let value = self.seal(group, expiry);
        let date = http_date(expiry);
        [
            format!("{NAME}={value}; Expires={date}; Path=/"),
            format!("{NAME_CORS}={value}; Expires={date}; Path=/; SameSite=None; Secure"),
        ]
        .map(|text| HeaderValue::from_str(&text).expect("hexadecimal digits and a date are visible ASCII"))
    }

    fn seal(&self, group: &GroupId, expiry: Timestamp) -> String {
        let mut plain = expiry.as_second().to_be_bytes().to_vec();
        plain.extend_from_slice(group.as_str().as_bytes());
        let tag = self.tag(&plain);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        hex(&tag) + &hex(&plain)
    }

    fn open(&self, value: &str, now: Timestamp) -> Option<GroupId> {
        if value.len() > VALUE_MAX || !value.is_ascii() {
            return None;
        }
        let digits = value
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).ok().filter(|p| p.len() == 2));
        let bytes = digits
            .map(|pair| u8::from_str_radix(pair?, 16).ok())
            .collect::<Option<Vec<u8>>>()?;
        let (tag, plain) = bytes.split_at_checked(TAG_BYTES)?;
        // Every byte is compared, so that the time taken tells nothing.
        let unequal = tag.iter().zip(self.tag(plain)).fold(0, |seen, (a, b)| seen | (a ^ b));
        let (expiry, group) = plain.split_first_chunk::<EXPIRY_BYTES>()?;
        let alive = i64::from_be_bytes(*expiry) > now.as_second();
        (unequal == 0 && alive)
            .then(|| std::str::from_utf8(group).ok().map(GroupId::new))
            .flatten()
    }

    /// The key on both sides and a truncated hash: a longer message cannot be made from a known one.
    fn tag(&self, plain: &[u8]) -> [u8; TAG_BYTES] {
        let digest = Sha256::new()
            .chain_update(self.0)
            .chain_update(plain)
            .chain_update(self.0)
            .finalize();
        std::array::from_fn(|at| digest[at])
    }
}

fn http_date(at: Timestamp) -> String {
    // Only years beyond 9999 have no such text, and a `Timestamp` holds none.
    jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn check(key: &CookieKey, header: &str, second: i64, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, header.parse().unwrap());
        assert_eq!(key.group(&headers, at(second)), expected.map(GroupId::new), "{header}");
    }

    fn pair(value: &HeaderValue) -> String {
        value.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    #[test]
    fn a_cookie_names_its_group_until_it_is_over() {
        let key = CookieKey::new([7; 32]);
        let [plain, cors] = key.set(&GroupId::new("canary"), 60, at(NOW));
        check(&key, &pair(&plain), NOW + 59, Some("canary"));
        check(&key, &pair(&cors), NOW, Some("canary"));
        check(&key, &format!("theme=dark; {}; x=1", pair(&plain)), NOW, Some("canary"));
        check(&key, &pair(&plain), NOW + 60, None);
        assert!(cors.to_str().unwrap().ends_with("; Path=/; SameSite=None; Secure"));
        assert!(
            plain
                .to_str()
                .unwrap()
                .contains("Expires=Tue, 14 Nov 2023 22:14:20 GMT"),
            "{plain:?}"
        );
    }

    #[test]
    fn an_invented_changed_or_foreign_cookie_is_ignored() {
        let key = CookieKey::new([7; 32]);
        let [good, _] = key.set(&GroupId::new("canary"), 60, at(NOW));
        let mut changed = pair(&good).into_bytes();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        check(&key, &String::from_utf8(changed).unwrap(), NOW, None);
        check(&CookieKey::new([8; 32]), &pair(&good), NOW, None);
        for odd in [
            "AWSALBTG=",
            "AWSALBTG=abc",
            "AWSALBTG=zz",
            "AWSALBTG=+1+2",
            "AWSALBTG",
            "AWSALBTG=00",
            "other=1",
        ] {
            check(&key, odd, NOW, None);
        }
    }
}
