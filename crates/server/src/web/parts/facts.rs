//! The facts beside a deployment, and where to look closer.

use crate::api::documents::DeploymentDocument;
use crate::web::words;

#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) word: &'static str,
    pub(crate) value: String,
}

/// A tool; without an address the note says why.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) word: &'static str,
    pub(crate) href: Option<String>,
    pub(crate) note: String,
}

pub(crate) fn facts(document: &DeploymentDocument) -> Vec<Fact> {
    let spec = &document.spec;
    let fact = |word, value| Fact { word, value };
    let left = words::seconds_between(document.as_of, document.expires_at);
    let stickiness = match spec.stickiness_s {
        0 => "off".into(),
        seconds => words::duration(f64::from(seconds)),
    };
    let mut facts = Vec::new();
    match document.closed_at {
        Some(at) => facts.push(fact("Ended", words::day(at))),
        None => facts.push(fact("Removes itself in", words::duration(left))),
    }
    facts.push(fact("Cost so far", words::money(document.cost.so_far)));
    facts.push(fact("Cost per hour", words::money(document.cost.per_hour)));
    facts.push(fact("Started", words::day(document.created_at)));
    facts.push(fact("Listener", words::known_by(spec.listener.as_str())));
    facts.push(fact(
        "In front of",
        words::known_by(&String::from(spec.in_front_of.clone())),
    ));
    facts.push(fact("Stickiness", stickiness));
    facts.push(fact("Health path", spec.app.health_check_path.clone()));
    facts.push(fact("Generation", document.generation.to_string()));
    let looked = if document.closed_at.is_some() {
        "Last looked at"
    } else {
        "Looked at"
    };
    facts.push(fact(looked, words::clock(document.as_of)));
    facts.push(fact("Short id", document.id.short()));
    facts
}

pub(crate) fn links(document: &DeploymentDocument, local: bool) -> Vec<Link> {
    let links = &document.links;
    // The embedded monitor has no pages of its own, only Prometheus' API.
    let prometheus = links.prometheus.as_ref().map(|url| {
        if local {
            format!("{url}/api/v1/query?query=up")
        } else {
            url.clone()
        }
    });
    let link = |word: &'static str, href: &Option<String>, note: &str| {
        let off = links.off.get(word.to_ascii_lowercase().as_str());
        Link {
            word,
            href: href.clone(),
            // The sentence may begin with the tool's name, which stands before it.
            note: off
                .map_or(note, |why| why.strip_prefix(word).unwrap_or(why).trim_start())
                .to_owned(),
        }
    };
    vec![
        link(
            "Prometheus",
            &prometheus,
            if local {
                "the embedded monitor: which targets are up"
            } else {
                ""
            },
        ),
        link("Grafana", &links.grafana, ""),
        link("Kayenta", &links.kayenta, ""),
        link("Referee", &links.referee, ""),
        Link {
            word: "Report",
            href: Some(format!("/deployments/{}/report", document.id)),
            note: "one file that stands alone".into(),
        },
    ]
}
