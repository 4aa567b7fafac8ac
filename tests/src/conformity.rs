//! Every answer that a test receives from its application against `docs/openapi.json`, as the code writes it: the operation
//! is there, the status, the media type and the headers are, and the body is what its schema says, and nothing more. A request
//! that succeeds must be one that the document allows.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::Read as _,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use http::{Method, StatusCode, header};
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::{openapi::document, response::TestResponse};

/// Statuses with which the gateway may answer anything itself, described once for the whole API.
const GATEWAYS: [u16; 8] = [400, 403, 404, 413, 429, 431, 500, 503];

/// What was asked, as far as it matters here.
#[derive(Debug, Clone)]
pub struct Asked {
    method: Method,
    path: String,
    body: bytes::Bytes,
}

impl Asked {
    /// Of a request.
    pub fn of(request: &http::Request<bytes::Bytes>) -> Self {
        Self { method: request.method().clone(), path: request.uri().path().to_owned(), body: request.body().clone() }
    }

    /// Panics unless the document says that this may be answered.
    pub fn check(&self, response: &TestResponse) {
        // The local inbox and the twin of S3 are no part of the API.
        if self.path.starts_with("/_local/") || self.path.starts_with("/_objects/") {
            return;
        }
        if let Err(complaint) = self.compare(response) {
            panic!(
                "{} {} was answered {} in a way that docs/openapi.json does not describe: {complaint}\n\
                 The answer: {}\n\
                 Mend the handler, or its `describe` (then run scripts/openapi).",
                self.method,
                self.path,
                response.status,
                response.text()
            );
        }
    }

    fn compare(&self, response: &TestResponse) -> Result<(), String> {
        let body = plain(response);
        let is_json = |body: &[u8]| serde_json::from_slice::<Value>(body).ok();
        let media_type = response.header("content-type").split(';').next().unwrap_or_default().trim().to_owned();
        let json = is_json(&body);
        if is_bare(response.code(), &media_type, json.as_ref()) || is_internal(&media_type, json.as_ref()) {
            return Ok(());
        }
        let Some((place, operation)) = operation(&self.method, &self.path) else {
            return self.unknown(response, &media_type, is_json(&body).as_ref());
        };
        let Some(answer) = operation["responses"].get(response.status.as_str()) else {
            return Err("the status is not described".to_owned());
        };
        let answer = followed(answer);
        for (name, header) in answer["headers"].as_object().into_iter().flatten() {
            if followed(header)["required"] == true && !response.headers.contains_key(name) {
                return Err(format!("the header {name} is missing"));
            }
        }
        if response.status.is_success() {
            self.compare_request(&place, operation)?;
        }
        if self.method == Method::HEAD {
            return if body.is_empty() { Ok(()) } else { Err("the answer to a HEAD has a body".to_owned()) };
        }
        match answer.get("content") {
            None if body.is_empty() => Ok(()),
            None => Err("it has a body, and none is described".to_owned()),
            Some(content) => {
                let Some(described) = content.get(&media_type) else {
                    return Err(format!("the media type {media_type:?} is not described"));
                };
                let schema = &described["schema"];
                if !media_type.ends_with("json") || media_type == "application/x-ndjson" {
                    return Ok(());
                }
                let value = is_json(&body).ok_or("the body is not JSON")?;
                let place = format!("{place} {} {media_type}", response.status.as_u16());
                validate(&place, schema, Direction::Answer, &value)
            }
        }
    }

    /// What succeeded was allowed.
    fn compare_request(&self, place: &str, operation: &Value) -> Result<(), String> {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let Ok(value) = serde_json::from_slice::<Value>(&self.body) else { return Ok(()) };
        if schema.is_null() {
            return Ok(());
        }
        let refused = |why| format!("the request succeeded, and the document does not allow it: {why}");
        check_request(place, schema, &value).map_err(refused)
    }

    /// A path or a method that is nowhere described has one answer.
    fn unknown(&self, response: &TestResponse, media_type: &str, body: Option<&Value>) -> Result<(), String> {
        // A path that the gateway reads as one of the API's, as it decodes it.
        let unauthorized = response.code() == 401 && body.is_some();
        let preflight = self.method == Method::OPTIONS && response.status == StatusCode::NO_CONTENT;
        let refused = [404, 405].contains(&response.code()) && media_type == "application/problem+json";
        if preflight || unauthorized || (refused && (body.is_some() || self.method == Method::HEAD)) {
            return Ok(());
        }
        Err("there is no such operation".to_owned())
    }
}

/// `{"message":"..."}`, of the gateway itself.
fn is_bare(status: u16, media_type: &str, body: Option<&Value>) -> bool {
    let bare = body.and_then(Value::as_object).is_some_and(|body| body.len() == 1 && body.contains_key("message"));
    bare && media_type == "application/json" && GATEWAYS.contains(&status)
}

/// What no operation is meant to answer, and any may: the document says it of all of them.
fn is_internal(media_type: &str, body: Option<&Value>) -> bool {
    media_type == "application/problem+json" && body.is_some_and(|body| body["error"] == "internal")
}

/// The body without its compression.
fn plain(response: &TestResponse) -> Cow<'_, [u8]> {
    if response.header(header::CONTENT_ENCODING.as_str()) != "gzip" {
        return Cow::Borrowed(&response.body);
    }
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(&response.body[..]).read_to_end(&mut out).expect("gzip");
    Cow::Owned(out)
}

/// The operation for a request, and its key. Text before variables, as the gateway decides.
fn operation(method: &Method, path: &str) -> Option<(String, &'static Value)> {
    let paths = document()["paths"].as_object()?;
    let fits = |template: &str| {
        let (mut given, mut wanted) = (path.split('/'), template.split('/'));
        loop {
            match (given.next(), wanted.next()) {
                (None, None) => return true,
                (Some(given), Some(wanted)) if wanted.starts_with('{') && !is_resolved(given) => {}
                (Some(given), Some(wanted)) if given == wanted => {}
                _ => return false,
            }
        }
    };
    // A HEAD is answered as the GET would be, without the body.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let found = paths.iter().filter(|(template, _)| fits(template)).min_by_key(|(template, _)| template.contains('{'));
    let (template, item) = found?;
    Some((format!("{method} {template}"), item.get(method.to_lowercase())?))
}

/// Is it a segment that those in between may take away (RFC 3986, section 5.2.4)? It is no value of a variable then.
fn is_resolved(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "" | "." | "..")
}

/// What a reference into the document refers to.
fn followed(value: &'static Value) -> &'static Value {
    let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
    document().pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

/// Whether a schema of the document allows this body.
///
/// # Errors
/// With what it does not allow.
pub fn check_request(place: &str, schema: &Value, value: &Value) -> Result<(), String> {
    validate(&format!("{place} request"), schema, Direction::Request, value)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

fn validate(place: &str, schema: &Value, direction: Direction, value: &Value) -> Result<(), String> {
    let validator = validator(place, schema, direction);
    let complaints: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("at {:?}: {error} ({})", error.instance_path().as_str(), error.schema_path().as_str()))
        .collect();
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n  ")) }
}

/// Made once for each place.
fn validator(place: &str, schema: &Value, direction: Direction) -> Arc<Validator> {
    static MADE: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(validator) = made.get(place) {
        return Arc::clone(validator);
    }
    let mut whole = schema.clone();
    let mut components = json!({ "schemas": document()["components"]["schemas"] });
    if direction == Direction::Answer {
        close(&mut whole);
        close(&mut components);
    }
    // Members beside a `$ref` count in draft 2020-12, these included.
    whole["components"] = components;
    let options = jsonschema::draft202012::options().should_validate_formats(true);
    let validator = Arc::new(options.build(&whole).unwrap_or_else(|error| panic!("{place}: {error}")));
    made.insert(place.to_owned(), Arc::clone(&validator));
    validator
}

/// The document leaves room for members that come later; what is answered today is described today.
fn close(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Object(members) => {
            close_object(members);
            members.values_mut().for_each(close);
        }
        _ => {}
    }
}

fn close_object(members: &mut Map<String, Value>) {
    let lists = members.get("properties").is_some_and(Value::is_object);
    if lists && !members.contains_key("additionalProperties") && !members.contains_key("$ref") {
        members.insert("additionalProperties".to_owned(), json!(false));
    }
}
