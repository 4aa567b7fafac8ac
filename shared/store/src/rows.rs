//! From columns to domain types.

use std::str::FromStr;

use halyard_domain::Priority;
use serde_json::value::RawValue;
use sqlx::types::Json;

use crate::{Result, StoreError};

/// A column whose CHECK constraint allows the domain's names only.
pub(crate) fn parse<T>(text: &str) -> Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|e: T::Err| StoreError::Internal(e.into()))
}

pub(crate) fn priority(n: i16) -> Result<Priority> {
    Priority::try_from(n).map_err(|e| StoreError::Internal(e.into()))
}

pub(crate) type RawJson = Json<Box<RawValue>>;

pub(crate) fn raw(json: Option<RawJson>) -> Option<Box<RawValue>> {
    json.map(|Json(value)| value)
}

/// A non-negative number of seconds; zero when it is none.
pub(crate) fn seconds(s: f64) -> chrono::Duration {
    std::time::Duration::try_from_secs_f64(s).ok().and_then(|d| chrono::Duration::from_std(d).ok()).unwrap_or_default()
}
