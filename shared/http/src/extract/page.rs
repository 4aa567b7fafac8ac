//! Pages of a list.

use std::{fmt::Display, str::FromStr};

use axum::extract::FromRequestParts;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::request::Parts;
use serde::Deserialize;

use super::AppQuery;
use crate::{FieldError, Problem};

/// `?limit=` (1 to 100, 20) and `?cursor=` (opaque).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// How many, 1 to 100.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<Cursor>,
}

/// Where a page ended: a key, wrapped so that clients do not build their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor as the client gives it back, in a query that has other bounds than [`PageQuery`].
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    /// Wraps the last item's key for the client.
    pub fn encode(key: &impl Display) -> String {
        URL_SAFE_NO_PAD.encode(key.to_string())
    }

    /// The key in a cursor.
    ///
    /// # Errors
    /// 422 when it holds no such key.
    pub fn decode<K: FromStr>(&self) -> Result<K, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).ok();
        let key = bytes.and_then(|b| String::from_utf8(b).ok()).and_then(|text| text.parse().ok());
        key.ok_or_else(|| {
            Problem::unprocessable(vec![FieldError::new("/cursor", "invalid_value", "is not a cursor of this list")])
        })
    }
}

#[derive(Deserialize)]
struct Raw {
    limit: Option<u32>,
    cursor: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for PageQuery {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let AppQuery(Raw { limit, cursor }) = AppQuery::<Raw>::from_request_parts(parts, state).await?;
        let limit = limit.unwrap_or(20);
        if !(1..=100).contains(&limit) {
            let error = FieldError::new("/limit", "out_of_range", "must be between 1 and 100");
            return Err(Problem::unprocessable(vec![error]));
        }
        Ok(Self { limit, cursor: cursor.filter(|c| !c.is_empty()).map(Cursor) })
    }
}
