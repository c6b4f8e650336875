//! What a spec may say of an app that speaks gRPC: paths are methods, and there is nothing to GET.

use super::App;
use crate::listener::Protocol;
use crate::problem::Problem;

/// What warm-up asks where nothing was chosen. To a gRPC server it is no method.
const ANY_PAGE: &str = "/";

impl App {
    /// What an instance asks of itself before it counts as ready. A gRPC app is asked for its health where the spec names
    /// no method.
    pub(crate) fn warm_up_paths(&self) -> Vec<&str> {
        let paths = &self.warm_up.paths;
        match self.protocol {
            Protocol::Grpc if paths[..] == [ANY_PAGE] => vec![&self.health_check_path],
            Protocol::Grpc | Protocol::Http | Protocol::Https => paths.iter().map(String::as_str).collect(),
        }
    }
}

pub(super) fn problems(app: &App, problems: &mut Vec<Problem>) {
    if app.protocol != Protocol::Grpc {
        return;
    }
    let mut refuse = |field: &str, sentence: String, next: &str| {
        problems.push(Problem::blocks(format!("spec:{field}"), sentence, next).at(field));
    };
    let health = std::iter::once(("app.health_check_path", app.health_check_path.as_str()));
    let asked = health.chain(app.warm_up_paths().into_iter().map(|path| ("app.warm_up.paths", path)));
    for (field, path) in asked.filter(|(_, path)| !is_method(path)) {
        refuse(
            field,
            format!(
                "`{}` is no gRPC method; those are `/package.Service/Method`.",
                super::ranges::short_text(path)
            ),
            "Name one that answers an empty message with status 0, such as `/grpc.health.v1.Health/Check`.",
        );
    }
    if app.version_path.is_some() {
        refuse(
            "app.version_path",
            "A gRPC app has no page that says its version.".into(),
            "Leave it out.",
        );
    }
}

fn is_method(path: &str) -> bool {
    let parts = path.strip_prefix('/').and_then(|rest| rest.split_once('/'));
    parts.is_some_and(|(service, method)| !service.is_empty() && !method.is_empty() && !method.contains(['/', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::WarmUp;

    const HEALTH: &str = "/grpc.health.v1.Health/Check";

    fn app(protocol: Protocol, health: &str, warm: &[&str]) -> App {
        App {
            port: 50051,
            protocol,
            health_check_path: health.into(),
            warm_up: WarmUp {
                paths: warm.iter().map(|path| (*path).to_owned()).collect(),
                ..WarmUp::default()
            },
            version_path: None,
        }
    }

    #[track_caller]
    fn check(app: &App, expected: &[&str]) {
        let mut found = Vec::new();
        problems(app, &mut found);
        let names: Vec<&str> = found.iter().map(|problem| problem.name.as_str()).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn methods_are_asked_and_pages_are_not() {
        check(&app(Protocol::Grpc, HEALTH, &["/"]), &[]);
        check(&app(Protocol::Grpc, HEALTH, &["/shop.v1.Cart/List"]), &[]);
        check(&app(Protocol::Grpc, "/health", &[]), &["spec:app.health_check_path"]);
        check(
            &app(Protocol::Grpc, HEALTH, &["/", "/a/b/c"]),
            &["spec:app.warm_up.paths"; 2],
        );
        check(&app(Protocol::Https, "/health", &["/"]), &[]);
        let versioned = App {
            version_path: Some("/version".into()),
            ..app(Protocol::Grpc, HEALTH, &[])
        };
        check(&versioned, &["spec:app.version_path"]);
    }

    #[test]
    fn warm_up_asks_for_health_where_nothing_was_chosen() {
        assert_eq!(app(Protocol::Grpc, HEALTH, &["/"]).warm_up_paths(), [HEALTH]);
        assert_eq!(app(Protocol::Http, "/health", &["/"]).warm_up_paths(), ["/"]);
        assert_eq!(app(Protocol::Grpc, HEALTH, &[]).warm_up_paths(), [""; 0]);
    }
}
