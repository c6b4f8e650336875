//! Where an instance sends and reads again and again, for as long as it stands. A presigned URL ends with the session that
//! signed it, which may be long before; so these lie in an object that is written anew with each session, and that the
//! instance reads again and again.

use arya_judge::source::posted::PLACES;

use super::PresignedUrl;
use crate::identity::{LogicalId, Place};

/// Where the URLs of one filling of a place lie.
pub fn urls_key(place: Place, incarnation: u32) -> String {
    format!("urls/{}-{incarnation}", LogicalId::Instance(place))
}

/// The URLs of one instance that are signed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// Where these are read the next time.
    pub these: PresignedUrl,
    /// Where its status document goes.
    pub status: PresignedUrl,
    /// Where its containers' logs go.
    pub logs: PresignedUrl,
    /// Where a monitor reads whom it watches.
    pub targets: Option<PresignedUrl>,
    /// Where a monitor puts what it recorded.
    pub export: Option<PresignedUrl>,
    /// Where a monitor that nothing reaches puts what it scrapes: one for each place of the ring.
    pub evidence: Option<[PresignedUrl; PLACES]>,
}

impl Urls {
    /// As they lie in the bucket: a name and a URL in each line, and a last line by which a half is told from the whole.
    pub fn bytes(&self) -> Vec<u8> {
        let one = [("these", &self.these), ("status", &self.status), ("logs", &self.logs)];
        let some = [("targets", &self.targets), ("export", &self.export)];
        let some = some.into_iter().filter_map(|(name, url)| Some((name, url.as_ref()?)));
        let ring = self.evidence.iter().flatten().map(|url| ("evidence", url));
        let lines = one.into_iter().chain(some).chain(ring);
        let mut text: String = lines.map(|(name, url)| format!("{name} {}\n", url.0)).collect();
        text.push_str("end\n");
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(name: &str) -> PresignedUrl {
        PresignedUrl::parse(format!("https://bucket/{name}?signature")).unwrap()
    }

    #[test]
    fn each_is_one_line_and_the_last_line_says_that_it_is_whole() {
        let mut urls = Urls {
            these: url("urls"),
            status: url("status"),
            logs: url("logs"),
            targets: None,
            export: None,
            evidence: None,
        };
        let text = |urls: &Urls| String::from_utf8(urls.bytes()).unwrap();
        assert_eq!(
            text(&urls),
            "these https://bucket/urls?signature\nstatus https://bucket/status?signature\n\
             logs https://bucket/logs?signature\nend\n"
        );
        urls.targets = Some(url("targets"));
        urls.evidence = Some(std::array::from_fn(|place| url(&format!("evidence/{place}"))));
        let text = text(&urls);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4 + PLACES + 1);
        assert_eq!(lines[3], "targets https://bucket/targets?signature");
        assert_eq!(lines[4 + 7], "evidence https://bucket/evidence/7?signature");
        assert_eq!(lines[4 + PLACES], "end");
    }
}
