//! Successes.

use serde_json::{Map, Value, json};

/// A success of one status.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub description: &'static str,
    /// By media type.
    pub content: Map<String, Value>,
    pub headers: Map<String, Value>,
    /// By the operation that it leads to.
    pub links: Map<String, Value>,
}

impl Answer {
    /// With a body of this media type.
    pub fn content(&mut self, media_type: &str, schema: &Value) {
        self.content.insert(media_type.to_owned(), json!({ "schema": schema }));
    }

    /// As the document has it; `common` are the headers of every answer of the operation.
    pub fn finish(mut self, common: &Value) -> Value {
        for (name, header) in common.as_object().into_iter().flatten() {
            self.headers.entry(name.clone()).or_insert_with(|| header.clone());
        }
        let mut answer = json!({ "description": self.description, "headers": self.headers });
        if !self.content.is_empty() {
            answer["content"] = Value::Object(self.content);
        }
        if !self.links.is_empty() {
            answer["links"] = Value::Object(self.links);
        }
        answer
    }
}

/// `{"status":"success","data":...}`.
pub(super) fn envelope(data: &Value) -> Value {
    json!({
        "type": "object",
        "properties": { "status": { "const": "success" }, "data": data },
        "required": ["status", "data"]
    })
}

/// Puts a further member into an envelope.
pub(super) fn put(schema: &mut Value, name: &str, member: Value) {
    schema["properties"][name] = member;
    if let Some(required) = schema["required"].as_array_mut() {
        required.push(name.into());
    }
}
