//! What speaks against running these two versions: the image, its compose file, and how they fit the spec.

use std::collections::BTreeSet;

use arya_bundle::{ComposeFile, Description, Finding, ImageDescription, Kind, Service, names_same_image};

use crate::identity::Arm;
use crate::instance_type::architecture;
use crate::preview::{Capabilities, Files};
use crate::problem::{Problem, Severity};
use crate::spec::{Digest, ProductionTargets, Spec, Version, limits, short};
use crate::user_data::monitor::{NODE_EXPORTER_PORT, REFEREE_IMAGE, tool_images};

/// What each instance of an arm will run, told to the page and to the adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToRun {
    pub image: ImageDescription,
    pub app: Service,
    /// Services to start, the app first.
    pub run: Vec<String>,
    pub skip: Vec<String>,
}

/// Checks both arms. Problems that both share are said once, with both named.
pub(crate) fn versions(spec: &Spec, files: &Files, capabilities: &Capabilities, problems: &mut Vec<Problem>) {
    let mut found = Vec::new();
    let baseline = version(spec, Arm::Baseline, &spec.baseline, files, capabilities, &mut found);
    let canary = version(spec, Arm::Canary, &spec.canary, files, capabilities, &mut found);
    if let (Some(baseline), Some(canary)) = (&baseline, &canary) {
        twins(baseline, canary, spec, &mut found);
    }
    referee(spec, files, &mut found);
    production_beside(spec, &mut found);
    for problem in found {
        if !problems
            .iter()
            .any(|known| known.name == problem.name && known.sentence == problem.sentence)
        {
            problems.push(problem);
        }
    }
}

/// An archive that the monitor is to load must be there, and be one image: Referee's, for the monitor's processor.
fn referee(spec: &Spec, files: &Files, problems: &mut Vec<Problem>) {
    let Some(archive) = spec.monitor.referee_image.archive() else {
        return;
    };
    let field = "monitor.referee_image";
    let (name, sentence, next) = match files.get(archive).map(|file| &file.description) {
        None => (
            "missing",
            format!(
                "The file {} for Referee was never uploaded here, or was removed since.",
                short(archive)
            ),
            ANOTHER_REFEREE,
        ),
        Some(Some(Description {
            kind: Kind::ImageArchive,
            images,
            ..
        })) if images.len() == 1 => match images.iter().find_map(|image| unfit_referee(spec, image)) {
            None => return,
            Some(unfit) => unfit,
        },
        Some(_) => (
            "kind",
            "The file given for Referee is no archive of one image.".to_owned(),
            ANOTHER_REFEREE,
        ),
    };
    problems.push(Problem::blocks(format!("{name}:{field}"), sentence, next).at(field));
}

const ANOTHER_REFEREE: &str =
    "Upload what `docker save` writes of one image, or name an image; without Referee the report serves.";

/// Why an image cannot be the monitor's Referee. Docker would load one of another tool's name in that tool's place.
fn unfit_referee(spec: &Spec, image: &ImageDescription) -> Option<(&'static str, String, &'static str)> {
    let monitor = &spec.monitor;
    let taken = tool_images(monitor.mirror()).find(|(variable, tool)| {
        let named = tool.split('@').next().unwrap_or(tool);
        let is_it = image.references.iter().any(|name| names_same_image(name, named));
        *variable != REFEREE_IMAGE && is_it
    });
    if let Some((_, tool)) = taken {
        return Some((
            "name",
            format!(
                "The archive given for Referee is named {tool}, which is another tool of the monitor's: it would replace it."
            ),
            "Save it under a name of its own (docker tag, then docker save), and upload it again.",
        ));
    }
    let runs = architecture(&monitor.instance_type);
    (image.architecture != runs).then(|| {
        (
            "architecture",
            format!(
                "The archive given for Referee is built for {}, and the monitor, a {}, runs {runs}.",
                image.architecture, monitor.instance_type
            ),
            "Build it for that architecture (docker build --platform), or choose another `monitor.type`.",
        )
    })
}

/// Arya never changes what production lets in, so that is said before anybody wonders at an empty line.
fn production_beside(spec: &Spec, problems: &mut Vec<Problem>) {
    if spec.monitor.production_targets == ProductionTargets::None {
        return;
    }
    let ports = spec.exporters.iter().map(|exporter| exporter.port);
    let ports: BTreeSet<u16> = ports.chain([NODE_EXPORTER_PORT]).collect();
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let sentence = format!(
        "The monitor also scrapes production's machines, for the panels, and {} of them at most. Their own security groups must \
         let it in on {}; Arya does not touch those. Where they do not, production's lines stay empty, and nothing waits for \
         them.",
        limits::PRODUCTION_TARGETS,
        ports.join(", ")
    );
    problems.push(Problem::note("production_scraped", sentence).at("monitor.production_targets"));
}

/// What only the pair of versions shows.
fn twins(baseline: &ToRun, canary: &ToRun, spec: &Spec, problems: &mut Vec<Problem>) {
    if spec.baseline.image == spec.canary.image {
        problems.push(Problem {
            field: Some("canary.image".into()),
            ..Problem::needs_acknowledgement(
                "same_image",
                "Baseline and canary are the same image archive: this compares a version with itself (an A/A run).",
            )
        });
    }
    if baseline.image.architecture != canary.image.architecture {
        problems.push(
            Problem::blocks(
                "architecture",
                format!(
                    "The baseline image is built for {}, the canary's for {}. On different processors the two cannot be \
                     compared.",
                    baseline.image.architecture, canary.image.architecture
                ),
                "Build both for the same architecture.",
            )
            .at("canary.image"),
        );
    }
}

fn version(
    spec: &Spec,
    arm: Arm,
    version: &Version,
    files: &Files,
    capabilities: &Capabilities,
    problems: &mut Vec<Problem>,
) -> Option<ToRun> {
    let image = image(arm, &version.image, files, capabilities, problems);
    let compose = compose(arm, &version.compose, files, problems);
    let (image, compose) = (image?, compose?);
    let to_run = pair(spec, arm, version, &image, compose, capabilities, problems)?;
    handed_over(arm, version, files, problems);
    services(spec, arm, version, compose, &to_run, problems);
    Some(to_run)
}

fn missing(arm: Arm, what: &str, digest: &Digest) -> Problem {
    Problem::blocks(
        format!("missing:{arm}.{what}"),
        format!(
            "The {arm}'s {what} file {} was never uploaded here, or was removed since.",
            short(digest)
        ),
        "Upload it, and use the digest that the upload answers.",
    )
    .at(format!("{arm}.{what}"))
}

fn wrong_kind(arm: Arm, what: &str, next: &str) -> Problem {
    Problem::blocks(
        format!("kind:{arm}.{what}"),
        format!("The file given as the {arm}'s {what} is something else."),
        next,
    )
    .at(format!("{arm}.{what}"))
}

fn image(
    arm: Arm,
    digest: &Digest,
    files: &Files,
    capabilities: &Capabilities,
    problems: &mut Vec<Problem>,
) -> Option<ImageDescription> {
    let field = format!("{arm}.image");
    let Some(file) = files.get(digest) else {
        problems.push(missing(arm, "image", digest));
        return None;
    };
    let image = match &file.description {
        Some(Description {
            kind: Kind::ImageArchive,
            images,
            ..
        }) => match images.as_slice() {
            [] => None,
            [first, ..] => Some(first.clone()),
        },
        Some(Description {
            kind: Kind::Compose | Kind::File,
            ..
        })
        | None => None,
    };
    let Some(image) = image else {
        problems.push(wrong_kind(arm, "image", "Give an archive made by `docker save`."));
        return None;
    };
    if image.os != "linux" {
        let sentence = format!(
            "The {arm} image is built for {}; only linux images can run here.",
            image.os
        );
        problems.push(Problem::blocks(format!("os:{arm}"), sentence, "Build it for linux.").at(field.clone()));
    }
    if !capabilities.architectures.contains(&image.architecture) {
        let sentence = format!(
            "The {arm} image is built for {}, but instances here run {}.",
            image.architecture,
            capabilities.architectures.join(" or ")
        );
        let next = "Build it for that architecture (docker build --platform), or choose another instance type.";
        problems.push(Problem::blocks(format!("architecture:{arm}"), sentence, next).at(field.clone()));
    }
    if capabilities
        .runnable
        .as_ref()
        .is_some_and(|runnable| !runnable.contains(digest))
    {
        problems.push(
            Problem::blocks(
                format!("not_runnable:{arm}"),
                format!(
                    "The {arm} image {} can be described here but not run: `arya try` has no container engine, and runs \
                     only the sample archives that it made itself.",
                    image.display_name()
                ),
                "Use the bundled samples here; your own images run on AWS (`arya serve`).",
            )
            .at(field),
        );
    }
    Some(image)
}

fn compose<'f>(arm: Arm, digest: &Digest, files: &'f Files, problems: &mut Vec<Problem>) -> Option<&'f ComposeFile> {
    let Some(file) = files.get(digest) else {
        problems.push(missing(arm, "compose", digest));
        return None;
    };
    let compose = file.description.as_ref().and_then(|d| d.compose.as_ref());
    if compose.is_none() {
        problems.push(wrong_kind(arm, "compose", "Give the compose file (YAML)."));
    }
    compose
}

/// How image, compose file and spec fit together.
fn pair(
    spec: &Spec,
    arm: Arm,
    version: &Version,
    image: &ImageDescription,
    compose: &ComposeFile,
    capabilities: &Capabilities,
    problems: &mut Vec<Problem>,
) -> Option<ToRun> {
    let field = format!("{arm}.compose");
    let app = match compose.app_service(spec.app.port) {
        Ok(app) => app.clone(),
        Err(error) => {
            problems.push(
                Problem::blocks(
                    format!("app_service:{arm}"),
                    format!("In the {arm}'s compose file: {error}"),
                    "Publish `app.port` in exactly one service, or correct `app.port`.",
                )
                .at(field),
            );
            return None;
        }
    };
    if app
        .image
        .as_ref()
        .is_none_or(|name| !image.references.iter().any(|r| names_same_image(r, name)))
    {
        let wants = app.image.as_deref().unwrap_or("no image");
        problems.push(
            Problem::blocks(
                format!("image_not_named:{arm}"),
                format!(
                    "The {arm}'s compose file runs {wants} as service `{}`, but its archive holds {}.",
                    app.name,
                    if image.references.is_empty() {
                        "an image without a name".into()
                    } else {
                        image.references.join(", ")
                    }
                ),
                "Save the image under the name that the compose file uses (docker save NAME:TAG).",
            )
            .at(field.clone()),
        );
    }
    let compose_says = app.entrypoint.is_some() || app.command.is_some();
    if compose_says && capabilities.runnable.is_some() {
        problems.push(
            Problem::blocks(
                format!("command:{arm}"),
                format!(
                    "The {arm}'s compose file gives the service `{}` a command of its own; `arya try` has no container to \
                     run it in, and starts the samples only as they are.",
                    app.name
                ),
                "Remove `command` and `entrypoint`; on AWS they are followed.",
            )
            .at(field.clone()),
        );
    }
    if !image.says_what_to_run() && !compose_says {
        problems.push(
            Problem::blocks(
                format!("no_entrypoint:{arm}"),
                format!("The {arm} image has no entrypoint and no command, and its compose file gives none."),
                "Add ENTRYPOINT or CMD to the image, or `command` to the compose file.",
            )
            .at(field),
        );
    }
    let (run, skip) = chosen_services(version, compose, &app);
    Some(ToRun {
        image: image.clone(),
        app,
        run,
        skip,
    })
}

/// The services to start: those the spec names; else the app and what it depends on.
pub fn chosen_services(version: &Version, compose: &ComposeFile, app: &Service) -> (Vec<String>, Vec<String>) {
    let mut run = vec![app.name.clone()];
    if version.services.run.is_empty() {
        let mut next = 0;
        while let Some(service) = run.get(next).and_then(|name| compose.services.get(name)).cloned() {
            let more = service.depends_on.into_iter().map(|on| on.service);
            let more: Vec<_> = more
                .filter(|name| !run.contains(name) && !version.services.skip.contains(name))
                .collect();
            run.extend(more);
            next += 1;
        }
    } else {
        run.extend(version.services.run.iter().filter(|name| **name != app.name).cloned());
    }
    let skip = compose
        .services
        .keys()
        .filter(|name| !run.contains(name))
        .cloned()
        .collect();
    (run, skip)
}

/// Files that the spec hands over beside image and compose file.
fn handed_over(arm: Arm, version: &Version, files: &Files, problems: &mut Vec<Problem>) {
    if let Some(digest) = version.env_file.as_ref().filter(|digest| !files.contains_key(digest)) {
        problems.push(missing(arm, "env_file", digest));
    }
    for digest in version.files.values().filter(|digest| !files.contains_key(digest)) {
        problems.push(missing(arm, "files", digest));
    }
    let named = version
        .files
        .iter()
        .map(|(path, digest)| ("files", path.as_str(), digest));
    let env_file = version.env_file.iter().map(|digest| ("env_file", "env file", digest));
    let all = std::iter::once(("compose", "compose file", &version.compose));
    for (key, name, digest) in all.chain(env_file).chain(named) {
        let size = files.get(digest).map_or(0, |file| file.size);
        if size > limits::CONFIGURATION_BYTES {
            let sentence = format!(
                "The {arm}'s {name} has {size} bytes; what goes with a launch has at most {}.",
                limits::CONFIGURATION_BYTES
            );
            let next = "Put it into the image.";
            problems.push(Problem::blocks(format!("size:{arm}.{key}"), sentence, next).at(format!("{arm}.{key}")));
        }
    }
}

fn services(
    spec: &Spec,
    arm: Arm,
    version: &Version,
    compose: &ComposeFile,
    to_run: &ToRun,
    problems: &mut Vec<Problem>,
) {
    let field = format!("{arm}.services");
    for name in version.services.run.iter().chain(&version.services.skip) {
        if let Err(error) = compose.service(name) {
            let next = "Correct `services`; the names are those of the compose file.";
            problems.push(Problem::blocks(format!("service:{arm}.{name}"), error.to_string(), next).at(field.clone()));
        }
    }
    let undecided: BTreeSet<&String> = to_run
        .skip
        .iter()
        .filter(|n| !version.services.skip.contains(*n))
        .collect();
    if !undecided.is_empty() {
        let names: Vec<_> = undecided.iter().map(|n| n.as_str()).collect();
        problems.push(
            Problem::note(
                format!("skipped:{arm}"),
                format!(
                    "Not started in the {arm}: {}. Name them in `services.run` to start them.",
                    names.join(", ")
                ),
            )
            .at(field.clone()),
        );
    }
    let run: Vec<&str> = to_run.run.iter().map(String::as_str).collect();
    for finding in compose.findings(&run) {
        if let Some(problem) = weigh(spec, version, &finding) {
            problems.push(problem.at(field.clone()));
        }
    }
}

/// Which findings stop a plan until they are acknowledged by name, and which are only worth knowing.
fn weigh(_spec: &Spec, version: &Version, finding: &Finding) -> Option<Problem> {
    let severity = match finding {
        Finding::EnvFile { required, .. } if version.env_file.is_some() || !required => return None,
        Finding::File { path, .. } | Finding::BindMount { path, .. }
            if version.files.keys().any(|target| target == path) =>
        {
            return None;
        }
        Finding::OtherService { service, .. } if version.services.run.contains(service) => Severity::Note,
        Finding::Build { .. } | Finding::Extends { .. } | Finding::Include { .. } => Severity::Blocks,
        Finding::NamedVolume { .. }
        | Finding::AnonymousVolume { .. }
        | Finding::Database { .. }
        | Finding::EnvFile { .. }
        | Finding::BindMount { .. }
        | Finding::File { .. }
        | Finding::Variable { .. }
        | Finding::HostNetwork { .. }
        | Finding::OtherService { .. }
        | Finding::MissingDependency { .. } => Severity::NeedsAcknowledgement,
    };
    let (name, sentence) = (finding.name(), finding.sentence());
    Some(match severity {
        Severity::Blocks => Problem::blocks(name, sentence, "Give a compose file without it."),
        Severity::NeedsAcknowledgement => Problem::needs_acknowledgement(name, sentence),
        Severity::Note => Problem::note(name, sentence),
    })
}
