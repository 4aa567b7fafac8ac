//! The whole document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Group, Operation, Schemas, problems};

/// What the document says before its operations.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    /// The API's name.
    pub title: &'static str,
    /// The API's version.
    pub version: &'static str,
    /// What is true of all of it, in Markdown.
    pub description: &'static str,
}

/// What is missing before there can be a document, a sentence each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished(pub Vec<String>);

impl Api {
    /// The document of these operations.
    ///
    /// # Errors
    /// When a route is not described, or not wholly.
    pub fn document(&self, groups: &[Group]) -> Result<Value, Unfinished> {
        let (document, complaints) = self.draft(groups);
        if complaints.is_empty() { Ok(document) } else { Err(Unfinished(complaints)) }
    }

    /// As much of the document as there is, and what is missing.
    pub fn draft(&self, groups: &[Group]) -> (Value, Vec<String>) {
        let mut schemas = Schemas::default();
        let (mut paths, mut complaints, mut ids) = (Map::new(), Vec::new(), BTreeSet::new());
        for group in groups {
            let known = |key: &str| group.routes.iter().any(|route| *route.id == *key);
            for key in group.described.keys().filter(|key| !known(key)) {
                complaints.push(format!("{key}: described, but no route of its function"));
            }
            for route in &group.routes {
                let Some(describe) = group.described.get(&*route.id) else {
                    complaints.push(undescribed(&route.id));
                    continue;
                };
                // Twice: the schemas of a body are named after the operation, whose name `describe` says.
                let mut draft = Schemas::default();
                let mut first = Operation::new(group.tag, ("", ""), route, &mut draft);
                describe[1](&mut first);
                let name = (first.id, first.summary);
                let mut operation = Operation::new(group.tag, name, route, &mut schemas);
                for describe in describe {
                    describe(&mut operation);
                }
                let (operation, missing) = operation.finish();
                if !ids.insert(name.0) || name.0.is_empty() || name.1.is_empty() {
                    complaints.push(format!(
                        "{}: a name of its own, and a summary: op.named(\"verbNoun\", \"...\")",
                        route.id
                    ));
                }
                complaints.extend(missing.into_iter().map(|text| format!("{}: {text}", route.id)));
                paths.entry(route.path).or_insert_with(|| json!({}))[route.method.as_str().to_lowercase()] = operation;
            }
        }
        complaints.extend(dead_links(&paths, &ids));
        let mut components = schemas.finish(&mut complaints);
        components.insert("Problem".to_owned(), problems::schema());
        components.insert("FieldError".to_owned(), problems::field_error());
        components.insert("GatewayMessage".to_owned(), problems::gateway_message());
        let responses = share(&mut paths);
        let document = json!({
            "openapi": "3.1.0",
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "info": {
                "title": self.title,
                "version": self.version,
                "description": self.description,
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "servers": [{ "url": "/", "description": "Where this document was read." }],
            "tags": groups.iter().map(|group| json!({ "name": group.tag })).collect::<Vec<_>>(),
            "paths": paths,
            "components": { "schemas": components, "responses": responses, "headers": headers(), "securitySchemes": security_schemes() },
        });
        (document, complaints)
    }
}

/// Answers that many operations give are said once. Gives the components that they become.
fn share(paths: &mut Map<String, Value>) -> Map<String, Value> {
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    let mut each = |visit: &mut dyn FnMut(&mut Value)| {
        let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
        let answers = operations.filter_map(|operation| operation["responses"].as_object_mut());
        answers
            .flat_map(|answers| answers.iter_mut())
            .filter(|(status, _)| !status.starts_with('2'))
            .for_each(|(_, a)| visit(a));
    };
    each(&mut |answer| *uses.entry(answer.to_string()).or_default() += 1);
    let mut often: Vec<(String, usize)> = uses.into_iter().filter(|(_, n)| *n > 1).collect();
    often.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
    let mut shared = Map::new();
    let mut names = BTreeMap::new();
    for (text, _) in often {
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let title =
            answer["description"].as_str().unwrap_or_default().lines().next().unwrap_or_default().replace(' ', "");
        // The most frequent answer of a status has its name; the others are written out.
        if !shared.contains_key(&title) {
            shared.insert(title.clone(), answer);
            names.insert(text, title);
        }
    }
    each(&mut |answer| {
        if let Some(name) = names.get(&answer.to_string()) {
            *answer = json!({ "$ref": format!("#/components/responses/{name}") });
        }
    });
    shared
}

/// Links to operations that are not there.
fn dead_links(paths: &Map<String, Value>, ids: &BTreeSet<&str>) -> Vec<String> {
    let operations = paths.values().filter_map(Value::as_object).flat_map(Map::values);
    let links = operations.filter_map(|operation| operation["responses"]["200"]["links"].as_object());
    let dead = links.flat_map(Map::keys).filter(|id| !ids.contains(id.as_str()));
    dead.map(|id| format!("a link leads to {id}, which is no operation")).collect()
}

fn undescribed(key: &str) -> String {
    format!(
        "{key} is not described. Beside its handler, write\n\
         \n    /// For docs/openapi.json.\
         \n    pub fn describe(op: &mut Operation<'_>) {{\
         \n        op.named(\"verbNoun\", \"What it does in a few words\").answers::<Response>(\"what comes back\");\
         \n    }}\n\
         \nderive `schemars::JsonSchema` for its Request and Response, and add to `operations()` in its function's lib.rs\n\
         \n    .on(\"{key}\", routes::FILE::handler, routes::FILE::describe)\n\
         \nthen run scripts/openapi. docs/adding-an-endpoint.md says more."
    )
}

fn headers() -> Value {
    let text = |description: &str, example: &str| json!({ "description": description, "schema": { "type": "string" }, "example": example });
    let request_id = |required: bool, description: &str| {
        json!({
            "description": description,
            "required": required,
            "schema": { "type": "string", "pattern": "^[A-Za-z0-9._-]{8,128}$" },
            "example": "req_01JD8X4Z7N3M5P9Q2R6S8T0V1W"
        })
    };
    let followed = "Follows the request through logs and queues: the client's own, when well formed, or a new one.";
    json!({
        "RequestId": request_id(true, followed),
        "OptionalRequestId": request_id(false, "Likewise. The gateway's own answers have none."),
        "Traceparent": text(
            "W3C Trace Context: the client's trace goes on, or a new one begins.",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        ),
        "RateLimit": text("What is left of each limit, and for how long it is not whole, in seconds.", "\"caller\";r=49;t=2"),
        "RateLimitPolicy": text("The limits: how many in how many seconds.", "\"caller\";q=50;w=60"),
        "IdempotencyReplayed": {
            "description": "`true` on the answer of an earlier request with the same `Idempotency-Key`.",
            "schema": { "const": "true" }
        },
        "RetryAfter": {
            "description": "Seconds after which to try again. The gateway's own answers have none.",
            "schema": { "type": "integer", "minimum": 1 }
        },
        "WwwAuthenticate": text("What is asked for (RFC 6750). The gateway's own answers have none.", "Bearer realm=\"halyard\""),
    })
}

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "`Authorization: Bearer` with the access token of a login, or with an API key (`hk_...`)."
        },
        "refreshToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "`Authorization: Bearer` with the refresh token of a login; it may stand in the body instead."
        },
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "halyard_session",
            "description": "The dashboard's session."
        }
    })
}
