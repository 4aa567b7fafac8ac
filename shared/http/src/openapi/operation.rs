//! One operation in the making.

use std::collections::BTreeMap;

use halyard_domain::{authz::Permission, idempotency};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::{
    Schemas,
    answer::{self, Answer},
    problems::{self, Codes},
};
use crate::{Access, Rate, Repeats, RouteInfo};

/// What is said of one route. Path, access and limit are its route's, parameters and body its handler's; `describe`
/// beside the handler adds the rest.
#[derive(Debug)]
pub struct Operation<'a> {
    pub(super) route: &'a RouteInfo,
    schemas: &'a mut Schemas,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    tag: &'static str,
    details: Vec<String>,
    parameters: Vec<Value>,
    body: Option<Value>,
    security: Option<Value>,
    answers: BTreeMap<u16, Answer>,
    problems: BTreeMap<u16, Codes>,
    pub(super) complaints: Vec<String>,
}

impl<'a> Operation<'a> {
    pub(super) fn new(
        tag: &'static str,
        (id, summary): (&'static str, &'static str),
        route: &'a RouteInfo,
        schemas: &'a mut Schemas,
    ) -> Self {
        Self {
            route,
            schemas,
            id,
            summary,
            tag,
            details: Vec::new(),
            parameters: Vec::new(),
            body: None,
            security: None,
            answers: BTreeMap::new(),
            problems: BTreeMap::new(),
            complaints: Vec::new(),
        }
    }

    /// Its `operationId`, in `camelCase` with the verb first, and what it does in a few words, without a full stop.
    pub fn named(&mut self, id: &'static str, summary: &'static str) -> &mut Self {
        (self.id, self.summary) = (id, summary);
        self
    }

    /// A paragraph about it, in Markdown.
    pub fn detail(&mut self, text: impl Into<String>) -> &mut Self {
        self.details.push(text.into());
        self
    }

    /// Answers 200 with `{"status":"success","data":T}`.
    pub fn answers<T: JsonSchema>(&mut self, description: &'static str) -> &mut Self {
        let data = self.schemas.answer::<T>(self.id);
        self.content(200, description, "application/json", &answer::envelope(&data))
    }

    /// Answers this status with a `T` and no envelope around it.
    pub fn answers_bare<T: JsonSchema>(
        &mut self,
        status: u16,
        media_type: &str,
        description: &'static str,
    ) -> &mut Self {
        let schema = self.schemas.answer::<T>(self.id);
        self.content(status, description, media_type, &schema)
    }

    /// Answers 200 with text of this media type.
    pub fn answers_text(&mut self, media_type: &str, description: &'static str) -> &mut Self {
        self.content(200, description, media_type, &json!({ "type": "string" }))
    }

    /// Answers this status without a body.
    pub fn answers_nothing(&mut self, status: u16, description: &'static str) -> &mut Self {
        self.answers.entry(status).or_default().description = description;
        self
    }

    /// Answers 303: what is asked for is where `Location` leads.
    pub fn leads_elsewhere(&mut self, description: &'static str) -> &mut Self {
        let location =
            json!({ "description": "Where it is.", "schema": { "type": "string", "format": "uri-reference" } });
        let answer = self.answers.entry(303).or_default();
        answer.description = description;
        answer.headers.insert("Location".to_owned(), location);
        self
    }

    /// `links` stand beside `data`: from a name to a path.
    pub fn links(&mut self) -> &mut Self {
        let links = json!({ "type": "object", "additionalProperties": { "type": "string" } });
        self.put("links", links)
    }

    /// A `T` stands beside `data`, for clients that read it there.
    pub fn beside<T: JsonSchema>(&mut self, name: &str) -> &mut Self {
        let member = self.schemas.answer::<T>(self.id);
        self.put(name, member)
    }

    /// The answer 200 carries this header.
    pub fn header(&mut self, name: &str, description: &str) -> &mut Self {
        let header = json!({ "description": description, "schema": { "type": "string" } });
        self.answers.entry(200).or_default().headers.insert(name.to_owned(), header);
        self
    }

    /// The answer 200 has at `pointer` what the operation `id` takes as `parameter`.
    pub fn leads_to(&mut self, id: &'static str, parameter: &str, pointer: &str) -> &mut Self {
        let parameters = json!({ parameter: format!("$response.body#{pointer}") });
        let link = json!({ "operationId": id, "parameters": parameters });
        self.answers.entry(200).or_default().links.insert(id.to_owned(), link);
        self
    }

    /// May answer a problem of this status and code; `occasion` says when, in a few words.
    pub fn problem(&mut self, status: u16, code: &'static str, occasion: &'static str) -> &mut Self {
        self.problems.entry(status).or_default().insert(code, occasion);
        self
    }

    /// May answer 422 with the fields that are not acceptable.
    pub fn checks_values(&mut self) -> &mut Self {
        self.problem(422, "validation_failed", "values are not acceptable: `errors` says which, and why")
    }

    /// 403 unless the caller has this permission.
    pub fn needs(&mut self, permission: Permission) -> &mut Self {
        self.detail(format!("Needs the permission `{}`.", permission.as_str()));
        self.problem(403, "forbidden", "the caller lacks the permission")
    }

    /// Reads a credential itself, without an authorizer: any of these security schemes; all of a request without one is
    /// refused, unless the credential may stand in the body.
    pub fn verifies(&mut self, schemes: &[&'static str], or_in_body: bool) -> &mut Self {
        let none = or_in_body.then(|| json!({}));
        self.security = Some(none.into_iter().chain(schemes.iter().map(|scheme| json!({ *scheme: [] }))).collect());
        self.unauthorized()
    }

    /// Takes a JSON body of this type, which must be there or not.
    pub fn takes<T: JsonSchema>(&mut self, required: bool) -> &mut Self {
        let schema = self.schemas.request::<T>(self.id);
        self.body = Some(json!({ "required": required, "content": { "application/json": { "schema": schema } } }));
        self.checks_values()
            .problem(400, "malformed_json", "the body is not JSON")
            .problem(400, "unreadable_body", "the body broke off")
            .problem(413, "payload_too_large", "the body is larger than 6 MiB")
    }

    /// The body must say that it is JSON.
    pub fn refuses_other_types(&mut self) -> &mut Self {
        self.problem(415, "unsupported_media_type", "the body's `Content-Type` is not JSON")
    }

    /// An example of the body.
    pub fn example(&mut self, body: Value) -> &mut Self {
        match &mut self.body {
            Some(described) => described["content"]["application/json"]["example"] = body,
            None => self.complaints.push("an example of a body that it does not take".to_owned()),
        }
        self
    }

    /// An example of the answer 200.
    pub fn example_answer(&mut self, body: Value) -> &mut Self {
        match self.answers.get_mut(&200).and_then(|answer| answer.content.get_mut("application/json")) {
            Some(content) => content["example"] = body,
            None => self.complaints.push("an example of an answer that is not described before it".to_owned()),
        }
        self
    }

    /// The parameters of the path: the one that there is is a `T`.
    pub fn path<T: JsonSchema>(&mut self) -> &mut Self {
        let schema = self.schemas.parameter::<T>();
        self.parameters.retain(|parameter| parameter["in"] != "path");
        for name in self.route.path.split(['{', '}']).skip(1).step_by(2) {
            self.parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
        }
        self
    }

    /// The parameters of the query are the fields of a `T`.
    pub fn query<T: JsonSchema>(&mut self) -> &mut Self {
        let schema = self.schemas.parameters::<T>();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let is_required = required.iter().any(|other| other == name);
            self.query_parameter(name, without_null(field.clone()), is_required);
        }
        self.checks_values()
    }

    /// Takes `limit` and `cursor`.
    pub(super) fn paged(&mut self) -> &mut Self {
        let limit = json!({
            "type": "integer", "minimum": 1, "maximum": 100, "default": 20, "description": "How many."
        });
        let cursor = json!({ "type": "string", "description": "Where the last page ended: its `next_cursor`." });
        self.query_parameter("limit", limit, false);
        self.query_parameter("cursor", cursor, false);
        self.checks_values()
    }

    /// Reads this header of the request.
    pub fn reads_header(&mut self, name: &str, description: &str, schema: &Value) -> &mut Self {
        let parameter = json!({ "name": name, "in": "header", "description": description, "schema": schema });
        self.parameters.push(parameter);
        self
    }

    fn query_parameter(&mut self, name: &str, mut schema: Value, required: bool) {
        let description = schema.as_object_mut().and_then(|object| object.remove("description"));
        let mut parameter = json!({ "name": name, "in": "query", "required": required, "schema": schema });
        if let Some(text) = description {
            parameter["description"] = text;
        }
        self.parameters.push(parameter);
    }

    fn content(&mut self, status: u16, description: &'static str, media_type: &str, schema: &Value) -> &mut Self {
        let answer = self.answers.entry(status).or_default();
        answer.description = description;
        answer.content(media_type, schema);
        self
    }

    fn put(&mut self, name: &str, member: Value) -> &mut Self {
        match self.answers.get_mut(&200).and_then(|answer| answer.content.get_mut("application/json")) {
            Some(content) => answer::put(&mut content["schema"], name, member),
            None => self.complaints.push(format!("{name} beside data that are not described before it")),
        }
        self
    }

    fn unauthorized(&mut self) -> &mut Self {
        for (code, occasion) in problems::authentication() {
            self.problem(401, code, occasion);
        }
        self.problem(503, "unavailable", "something that the answer depends on is down")
    }

    /// As the document has it.
    pub(super) fn finish(mut self) -> (Value, Vec<String>) {
        let known = matches!(self.route.access, Access::Bearer | Access::Cookie);
        if self.route.access != Access::Public {
            self.unauthorized();
        }
        let limited = self.route.rate != Rate::Unlimited;
        if limited {
            self.problem(429, "rate_limited", "too many requests");
        }
        let common = json!({
            "X-Request-Id": { "$ref": "#/components/headers/RequestId" },
            "traceparent": { "$ref": "#/components/headers/Traceparent" },
        });
        let mut headers = common.clone();
        if limited {
            headers["RateLimit"] = json!({ "$ref": "#/components/headers/RateLimit" });
            headers["RateLimit-Policy"] = json!({ "$ref": "#/components/headers/RateLimitPolicy" });
        }
        // What the gateway answers itself.
        let takes_body = self.body.is_some();
        let bare = |status| match status {
            401 | 403 => known,
            413 => takes_body,
            400 | 429 | 503 => true,
            _ => false,
        };
        for status in [400, 401, 403, 413, 429, 503].into_iter().filter(|status| bare(*status)) {
            self.problems.entry(status).or_default();
        }
        if matches!(self.route.repeats, Repeats::Keyed | Repeats::KeyedSecret) {
            self.keyed();
            headers["Idempotency-Replayed"] = json!({ "$ref": "#/components/headers/IdempotencyReplayed" });
        }
        self.complain();
        let mut answers = Map::new();
        for (status, answer) in std::mem::take(&mut self.answers) {
            answers.insert(status.to_string(), answer.finish(&headers));
        }
        for (status, codes) in &self.problems {
            let problem = problems::answer(*status, codes, bare(*status), common.clone());
            let merged = merged(answers.remove(&status.to_string()), problem);
            answers.insert(status.to_string(), merged);
        }
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "description": self.description(),
            "tags": [self.tag],
            "security": self.security(),
            "responses": answers,
        });
        if !self.parameters.is_empty() {
            operation["parameters"] = Value::Array(self.parameters);
        }
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        (operation, self.complaints)
    }

    /// Takes an `Idempotency-Key`.
    fn keyed(&mut self) {
        let schema = json!({ "type": "string", "pattern": idempotency::PATTERN, "examples": ["8e03978e-40d5-43dd-bc93-6894a57f9324"] });
        let description = "A name for this request, of at most 255 characters and new for each: sent again with the same \
            name within 24 hours, it is carried out once and answered alike. A quoted string, or a word without quotes.";
        self.reads_header("Idempotency-Key", description, &schema);
        self.problem(400, "invalid_idempotency_key", "the `Idempotency-Key` is malformed, or there are two")
            .problem(409, "idempotency_in_progress", "the first request with this `Idempotency-Key` is under way")
            .problem(422, "idempotency_key_reused", "the `Idempotency-Key` was another request's");
        let occasion = if self.route.repeats == Repeats::KeyedSecret {
            "the request was carried out; its answer holds a secret and is not kept"
        } else {
            "the request was carried out; its answer was too large to be kept"
        };
        self.problem(409, "idempotency_answer_not_kept", occasion);
    }

    fn complain(&mut self) {
        if self.answers.is_empty() {
            self.complaints.push("no answer but problems: .answers::<Response>(\"...\")".to_owned());
        }
        if self.route.path.contains('{') && !self.parameters.iter().any(|parameter| parameter["in"] == "path") {
            self.complaints.push("parameters of the path that no AppPath takes".to_owned());
        }
        if self.body.as_ref().is_some_and(|body| body["content"]["application/json"]["example"].is_null()) {
            self.complaints.push("no example of its body: .example(json!({...}))".to_owned());
        }
    }

    fn description(&self) -> String {
        let limit = match self.route.rate {
            Rate::Unlimited => None,
            Rate::PerCaller(n) => Some(format!("At most {n} requests a minute by one caller.")),
            Rate::PerAccount(n) => Some(format!("At most {n} requests a minute for one account from one address.")),
        };
        self.details.iter().cloned().chain(limit).collect::<Vec<_>>().join("\n\n")
    }

    fn security(&self) -> Value {
        match (&self.security, self.route.access) {
            (Some(schemes), _) => schemes.clone(),
            (None, Access::Bearer) => json!([{ "bearer": [] }]),
            (None, Access::Cookie) => json!([{ "cookie": [] }]),
            (None, Access::Optional) => json!([{}, { "bearer": [] }]),
            (None, Access::Public) => json!([]),
        }
    }
}

/// A status that is a success of one kind and a problem of another.
fn merged(success: Option<Value>, problem: Value) -> Value {
    let Some(mut answer) = success else { return problem };
    for (name, value) in problem["headers"].as_object().into_iter().flatten() {
        answer["headers"][name] = value.clone();
    }
    for (media_type, other) in problem["content"].as_object().into_iter().flatten() {
        let here = &mut answer["content"][media_type];
        *here = if here.is_null() {
            other.clone()
        } else {
            json!({ "schema": { "anyOf": [here["schema"], other["schema"]] } })
        };
    }
    answer
}

/// A parameter is there or not, and never null.
fn without_null(mut schema: Value) -> Value {
    if let Some(kinds) = schema.get("type").and_then(Value::as_array) {
        let kinds: Vec<Value> = kinds.iter().filter(|kind| *kind != "null").cloned().collect();
        schema["type"] = if let [kind] = &kinds[..] { kind.clone() } else { kinds.into() };
    }
    if let Some(choices) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        choices.retain(|choice| !choice.is_null());
    }
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        let choices: Vec<Value> = choices.iter().filter(|choice| choice["type"] != "null").cloned().collect();
        if let ([Value::Object(only)], Value::Object(schema)) = (&choices[..], &mut schema) {
            schema.remove("anyOf");
            schema.extend(only.clone());
        }
    }
    let defaults_to_null = schema.get("default").is_some_and(Value::is_null);
    if let (true, Some(members)) = (defaults_to_null, schema.as_object_mut()) {
        members.remove("default");
    }
    schema
}
