//! Path and query.

use axum::extract::{FromRequestParts, Path, Query, rejection::QueryRejection};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::field_error;
use crate::{FieldError, Problem};

/// The path's parameters. What is no id names nothing: 404.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPath<T>(pub T);

/// The query's parameters; 422 with the parameter's name. Unknown ones are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppQuery<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for AppPath<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::not_found("there is nothing under this id")),
        }
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for AppQuery<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::unprocessable(vec![locate(&rejection)])),
        }
    }
}

/// Which parameter a rejection is about: axum keeps serde's path among the causes.
fn locate(rejection: &QueryRejection) -> FieldError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(rejection);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<serde_path_to_error::Error<serde::de::value::Error>>() {
            return field_error(error.path(), &error.inner().to_string());
        }
        cause = error.source();
    }
    FieldError::new("", "invalid_value", rejection.body_text())
}
