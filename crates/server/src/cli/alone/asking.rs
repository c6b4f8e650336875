//! Every connection is asked at the same time: what stands there, and which of them did not answer. One that did not
//! keeps nothing from being done by the others.

use arya_aws::{AwsCloud, Leftover};
use arya_plan::cloud::CloudError;
use arya_plan::remains::may_be_removed;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::TOOL_ERROR;
use super::document;
use crate::aws::{ConnectionConfig, Found, Shared};
use crate::output;

/// Where a connection led.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    pub(super) connection: String,
    pub(super) account: String,
    pub(super) region: String,
}

/// A connection that did not answer, and what it said instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Missed {
    pub(super) connection: String,
    pub(super) why: String,
}

/// What one round of questions brought.
#[derive(Debug, Default)]
pub(super) struct Asked {
    clouds: Vec<(Place, AwsCloud)>,
    pub(super) missed: Vec<Missed>,
    /// Those that answered, but did not show everything.
    pub(super) partly: Vec<Missed>,
    pub(super) found: Vec<Found>,
}

/// Asks each connection for what is wanted of what stands there.
pub(super) async fn ask(connections: &[ConnectionConfig], wanted: impl Fn(&Leftover) -> bool) -> Asked {
    let one = async |connection: &ConnectionConfig| {
        let made = AwsCloud::connect(Shared::of_nobody().settings(connection)).await;
        made.map(|cloud| (place(&connection.name, &cloud), cloud))
            .map_err(|error| missed(&connection.name, &error))
    };
    let (mut clouds, mut missed) = (Vec::new(), Vec::new());
    for made in join_all(connections.iter().map(one)).await {
        match made {
            Ok(cloud) => clouds.push(cloud),
            Err(error) => missed.push(error),
        }
    }
    look(clouds, missed, wanted).await
}

async fn look(asked: Vec<(Place, AwsCloud)>, missing: Vec<Missed>, wanted: impl Fn(&Leftover) -> bool) -> Asked {
    let answers = join_all(asked.iter().map(|(_, cloud)| cloud.leftovers())).await;
    let mut all = Asked {
        clouds: Vec::new(),
        missed: missing,
        partly: Vec::new(),
        found: Vec::new(),
    };
    for ((place, cloud), answer) in asked.into_iter().zip(answers) {
        match answer {
            Ok(left) => {
                let known = |one: &Leftover| may_be_removed(&one.places, left.rules) && wanted(one);
                for leftover in left.found.into_iter().filter(known) {
                    // Two connections may lead to the same account.
                    if !all.found.iter().any(|known| known.leftover == leftover) {
                        all.found.push(Found {
                            connection: place.connection.clone(),
                            cloud: cloud.clone(),
                            leftover,
                        });
                    }
                }
                let partly = left.missed.iter().map(|error| missed(&place.connection, error));
                all.partly.extend(partly);
                all.clouds.push((place, cloud));
            }
            Err(error) => all.missed.push(missed(&place.connection, &error)),
        }
    }
    all
}

fn place(connection: &str, cloud: &AwsCloud) -> Place {
    let identity = cloud.identity();
    Place {
        connection: connection.to_owned(),
        account: identity.account.clone(),
        region: identity.region.clone(),
    }
}

fn missed(connection: &str, error: &CloudError) -> Missed {
    Missed {
        connection: connection.to_owned(),
        why: error.to_string(),
    }
}

impl Asked {
    /// Asks those that answered once more.
    pub(super) async fn again(&self, wanted: impl Fn(&Leftover) -> bool) -> Self {
        look(self.clouds.clone(), self.missed.clone(), wanted).await
    }

    /// Where everything was looked at.
    pub(super) fn places(&self) -> Vec<Place> {
        let is_whole = |place: &&Place| self.partly.iter().all(|one| one.connection != place.connection);
        let places = self.clouds.iter().map(|(place, _)| place);
        places.filter(is_whole).cloned().collect()
    }

    /// Whether everybody showed everything who was there when it was asked before.
    pub(super) fn is_as_whole_as(&self, before: &Self) -> bool {
        self.missed.len() == before.missed.len() && self.partly.is_empty()
    }

    /// Says which connections did not show what stands, or not all of it; answers the exit code as far as it depends on that.
    pub(super) fn complain(&self) -> u8 {
        for one in &self.missed {
            output::complain(&not_asked(one));
        }
        for one in &self.partly {
            output::complain(&not_shown(one));
        }
        if self.missed.is_empty() && self.partly.is_empty() {
            0
        } else {
            TOOL_ERROR
        }
    }

    /// The answer for programs.
    pub(super) fn document(&self, removed: &[String], left: &[Found], sentence: &str) -> Value {
        let all = |found: &[Found]| found.iter().map(document).collect::<Vec<_>>();
        json!({
            "found": all(&self.found),
            "removed": removed,
            "left": all(left),
            "asked": self.places(),
            "not_asked": self.missed,
            "not_whole": self.partly,
            "sentence": sentence,
        })
    }
}

fn not_asked(one: &Missed) -> String {
    format!("The connection `{}` was not asked: {}", one.connection, one.why)
}

fn not_shown(one: &Missed) -> String {
    format!(
        "The connection `{}` did not show everything: {}",
        one.connection, one.why
    )
}

/// `Nothing stands …`, with where that is so.
pub(super) fn nothing_stands(what: &str, places: &[Place]) -> String {
    if places.is_empty() {
        return "No connection showed everything, so what stands is not known. Nothing was changed.".into();
    }
    format!(
        "Nothing stands with {what} in {}. Nothing was changed.",
        in_words(places)
    )
}

/// Accounts and regions, by the connections that lead there.
pub(super) fn in_words(places: &[Place]) -> String {
    let one = |place: &Place| {
        format!(
            "account {}, region {} (connection `{}`)",
            place.account, place.region, place.connection
        )
    };
    places.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_with_where_it_was_looked_for() {
        let places = ["eu-west-1", "us-east-1"].map(|region| Place {
            connection: format!("shop-{region}"),
            account: "123456789012".into(),
            region: region.into(),
        });
        assert_eq!(
            nothing_stands("Arya's tags", &places),
            "Nothing stands with Arya's tags in account 123456789012, region eu-west-1 (connection `shop-eu-west-1`); \
             account 123456789012, region us-east-1 (connection `shop-us-east-1`). Nothing was changed."
        );
        assert!(nothing_stands("Arya's tags", &[]).starts_with("No connection showed everything"));
    }

    #[test]
    fn a_connection_that_was_not_asked_is_named_with_why_and_the_exit_code_says_so() {
        let mut asked = Asked {
            clouds: vec![],
            missed: vec![],
            partly: vec![],
            found: vec![],
        };
        assert_eq!(asked.complain(), 0);
        let expired = Missed {
            connection: "away".into(),
            why: "The login expired.".into(),
        };
        assert_eq!(
            not_asked(&expired),
            "The connection `away` was not asked: The login expired."
        );
        let whole = Asked {
            missed: vec![expired.clone()],
            ..Asked::default()
        };
        asked.partly.push(expired.clone());
        assert_eq!(asked.complain(), TOOL_ERROR, "what is hidden may stand");
        assert_eq!(asked.document(&[], &[], "")["not_whole"][0]["connection"], "away");
        asked.partly.clear();
        asked.missed.push(expired);
        assert_eq!(asked.complain(), TOOL_ERROR);
        assert!(asked.is_as_whole_as(&whole));
        let document = asked.document(&[], &[], "");
        assert_eq!(document["not_asked"][0]["connection"], "away");
    }
}
