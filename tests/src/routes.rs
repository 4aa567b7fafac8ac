//! `infra/template.yaml`, as tests look at it.

use std::path::PathBuf;

use halyard_gateway::template::{Inputs, RouteKey, Stack, Template};

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

/// The template, resolved with its defaults for the environment `local`.
pub fn stack() -> Stack {
    let template = Template::load(repository("infra/template.yaml")).expect("the template");
    let mut inputs = Inputs::default();
    inputs.parameters.insert("Environment".to_owned(), "local".to_owned());
    template.resolve(&inputs).expect("a resolved template")
}

/// A route of the template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateRoute {
    /// `GET /tasks/{id}` or `$default`.
    pub key: String,
    /// The logical id of the function behind it.
    pub function: String,
    /// `bearer`, `cookie`, `optional`; `None` without an authorizer.
    pub authorizer: Option<String>,
}

/// Every route of the template.
pub fn of_template() -> Vec<TemplateRoute> {
    let api = stack().api.expect("an API");
    let short = |id: &String| id.strip_suffix("Authorizer").unwrap_or(id).to_lowercase();
    let route = |route: &halyard_gateway::template::Route| TemplateRoute {
        key: match &route.key {
            RouteKey::Default => "$default".to_owned(),
            key @ RouteKey::Path { .. } => key.to_string(),
        },
        function: route.function.clone(),
        authorizer: route.authorizer.as_ref().map(short),
    };
    api.routes.iter().map(route).collect()
}
