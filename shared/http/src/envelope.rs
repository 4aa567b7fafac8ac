//! `{"status":"success","data":{...}}`.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use schemars::JsonSchema;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value};

use crate::Problem;

/// A success with `data`.
pub fn success<T: Serialize>(data: T) -> Success<T> {
    Success { data, links: None, metadata: None, extra: Map::new() }
}

/// A success; serialised once, when it becomes a response.
#[derive(Debug, Clone, PartialEq)]
pub struct Success<T> {
    data: T,
    links: Option<Value>,
    metadata: Option<Value>,
    extra: Map<String, Value>,
}

impl<T> Success<T> {
    /// Sets `links`, beside `data`.
    #[must_use]
    pub fn links(mut self, links: Value) -> Self {
        self.links = Some(links);
        self
    }

    /// Sets `metadata`, beside `data`.
    #[must_use]
    pub fn metadata(mut self, metadata: Value) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Repeats a value at top level, for clients that read it there.
    #[must_use]
    pub fn top_level(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }
}

impl<T: Serialize> Serialize for Success<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", "success")?;
        map.serialize_entry("data", &self.data)?;
        if let Some(links) = &self.links {
            map.serialize_entry("links", links)?;
        }
        if let Some(metadata) = &self.metadata {
            map.serialize_entry("metadata", metadata)?;
        }
        for (name, value) in &self.extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self) {
            Ok(body) => {
                let mut response = Response::new(axum::body::Body::from(body));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Err(error) => Problem::internal(&error).into_response(),
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Items<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask for next as `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}
