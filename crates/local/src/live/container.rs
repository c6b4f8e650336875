//! What Docker would make of an image and a compose file, as a plain process: program, arguments, environment, folder.
//!
//! Pure but for the unpacking; knows no instance, no phase and no balancer. The service's published port becomes
//! "listen where you like, and write down where": no two apps on one machine can have the same port.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use arya_bundle::{ComposeFile, EnvironmentValue, ImageDescription, Limits, Service, Wanted, unpack_layers};

use super::process::Launch;

/// The names that tell the sample service where to listen and where to write its address down.
const LISTEN: &str = "SAMPLE_LISTEN";
const ADDRESS_FILE: &str = "SAMPLE_ADDRESS_FILE";

/// Unpacks the image that the app's service names into `directory/root`, and says how to start it.
///
/// Blocking. `directory` exists and is empty.
pub(super) fn prepare(
    archive: &Path,
    compose: &Path,
    app_port: u16,
    directory: &Path,
) -> Result<(ImageDescription, Launch), String> {
    let limits = Limits::default();
    let text = std::fs::read(compose).map_err(|error| format!("The compose file cannot be read: {error}."))?;
    let compose = ComposeFile::parse(&text).map_err(|error| error.to_string())?;
    let service = compose.app_service(app_port).map_err(|error| error.to_string())?;
    let image = service.image.as_deref();
    let image = image.ok_or_else(|| {
        format!(
            "The service `{}` names no image, so there is nothing to start.",
            service.name
        )
    })?;
    let root = directory.join("root");
    let unpacked = unpack_layers(|| File::open(archive), Wanted::Named(image), &root, &limits)
        .map_err(|error| error.to_string())?;
    let launch = launch(&unpacked.image, service, &root, &directory.join("address"))?;
    Ok((unpacked.image, launch))
}

/// How to start the service: in the image's words alone. The images that run here hold this very program, and other
/// words would make it another service of ours, without a wall around it; so a compose file that has its own is refused.
fn launch(image: &ImageDescription, service: &Service, root: &Path, address_file: &Path) -> Result<Launch, String> {
    let own_words = [
        ("entrypoint", service.entrypoint.is_some()),
        ("command", service.command.is_some()),
    ];
    if let Some((key, _)) = own_words.into_iter().find(|(_, given)| *given) {
        return Err(format!(
            "The service `{}` of the compose file sets its own `{key}`, and on this machine an image starts only what it \
             was built to start: a process here has no wall around it. Nothing of it was started. Take `{key}` out of the \
             compose file, or connect AWS.",
            service.name
        ));
    }
    let mut words = image.entrypoint.iter().chain(&image.cmd).cloned();
    let program = words.next().ok_or("The image does not say what to start.")?;
    if !program.starts_with('/') {
        return Err(format!(
            "The program `{program}` is no absolute path; this runtime looks nowhere else for it."
        ));
    }
    let working_dir = service.working_dir.as_deref().unwrap_or(&image.working_dir);
    Ok(Launch {
        program: inside(root, &program)?,
        arguments: words.collect(),
        environment: environment(image, service, address_file),
        working_dir: inside(root, working_dir)?,
        address_file: address_file.to_owned(),
    })
}

/// A path of the image as it lies below the unpacked root.
fn inside(root: &Path, path: &str) -> Result<PathBuf, String> {
    let mut found = root.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => found.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(format!("The path `{path}` leads out of the image and is not used."));
            }
        }
    }
    Ok(found)
}

fn environment(image: &ImageDescription, service: &Service, address_file: &Path) -> Vec<(String, String)> {
    let compose = service
        .environment
        .pairs()
        .iter()
        .filter_map(|(name, value)| match value {
            EnvironmentValue::Set(value) => Some((name.clone(), value.clone())),
            EnvironmentValue::FromOutside => None,
        });
    let published = [
        (LISTEN, "127.0.0.1:0".to_owned()),
        (ADDRESS_FILE, address_file.display().to_string()),
    ];
    let published = published.map(|(name, value)| (name.to_owned(), value));
    // Of two with the same name the later one counts.
    image
        .env
        .pairs()
        .iter()
        .cloned()
        .chain(compose)
        .chain(published)
        .collect()
}

#[cfg(test)]
mod tests {
    use arya_bundle::{Digest, ImageEnvironment};

    use super::*;

    fn image(entrypoint: &[&str], cmd: &[&str]) -> ImageDescription {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        ImageDescription {
            references: vec!["emr:1.0".into()],
            architecture: "amd64".into(),
            os: "linux".into(),
            variant: None,
            exposed_ports: vec![8080],
            env_names: vec!["A".into(), "B".into()],
            env: ImageEnvironment::from_lines(&["A=image".into(), "B=image".into()]),
            entrypoint: words(entrypoint),
            cmd: words(cmd),
            working_dir: "/srv".into(),
            user: String::new(),
            layers: vec![],
            image_id: Digest::of(b"config"),
        }
    }

    fn launched(image: &ImageDescription, more: &str) -> Result<Launch, String> {
        let text = format!("services:\n  web:\n    image: emr:1.0\n    ports: [\"8080:8080\"]\n{more}");
        let compose = ComposeFile::parse(text.as_bytes()).unwrap();
        launch(
            image,
            compose.app_service(8080).unwrap(),
            Path::new("/r"),
            Path::new("/a"),
        )
    }

    #[track_caller]
    fn check(image: &ImageDescription, more: &str, expected: Result<&str, &str>) {
        match (launched(image, more), expected) {
            (Ok(launch), Ok(line)) => {
                let words: Vec<_> = [launch.program.display().to_string()]
                    .into_iter()
                    .chain(launch.arguments)
                    .collect();
                assert_eq!(words.join(" "), line);
            }
            (Err(error), Err(words)) => assert!(error.contains(words), "{error}"),
            (launch, expected) => panic!("{:?} is not {expected:?}", launch.map(|launch| launch.program)),
        }
    }

    #[test]
    fn only_the_image_says_what_to_start() {
        let image = image(&["/arya"], &["sample"]);
        check(&image, "", Ok("/r/arya sample"));
        check(
            &image,
            "    command: [serve, --listen, \"0.0.0.0:8088\"]\n",
            Err("own `command`"),
        );
        check(&image, "    command: []\n", Err("own `command`"));
        check(&image, "    entrypoint: [/bin/sh]\n", Err("own `entrypoint`"));
        check(
            &image,
            "    entrypoint: /arya\n    command: serve\n",
            Err("own `entrypoint`"),
        );
    }

    #[test]
    fn what_cannot_be_started_is_said() {
        check(&image(&[], &[]), "", Err("not say what to start"));
        check(&image(&["arya"], &[]), "", Err("no absolute path"));
        check(&image(&["/../arya"], &[]), "", Err("leads out of the image"));
    }

    #[test]
    fn the_environment_is_the_images_then_the_compose_files_then_the_published_port() {
        let more = "    environment: {B: compose, C: \"1\", SAMPLE_LISTEN: \"0.0.0.0:80\", SAMPLE_ADDRESS_FILE: /b}\n";
        let launch = launched(&image(&["/arya"], &[]), more).unwrap();
        let last = |name: &str| {
            launch
                .environment
                .iter()
                .rev()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.as_str())
        };
        assert_eq!(
            (last("A"), last("B"), last("C")),
            (Some("image"), Some("compose"), Some("1"))
        );
        assert_eq!((last(LISTEN), last(ADDRESS_FILE)), (Some("127.0.0.1:0"), Some("/a")));
        assert_eq!(launch.working_dir, Path::new("/r/srv"));
    }
}
