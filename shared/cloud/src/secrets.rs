//! Secrets that a function looks up when it starts: one field of the JSON of one secret.

use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use serde_json::Value;

use crate::aws::{self, Fault};

/// `secretsmanager:<name or ARN>#<field>`, as a variable names a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretRef {
    /// The secret's name or ARN.
    pub secret: String,
    /// The field of its JSON.
    pub field: String,
}

/// A text that looks like a reference and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be written secretsmanager:<name or ARN>#<field>")]
pub struct MalformedRef;

impl SecretRef {
    /// What a reference begins with.
    pub const SCHEME: &str = "secretsmanager:";

    /// Reads a reference; `None` when the text is an ordinary value.
    pub fn parse(text: &str) -> Option<Result<Self, MalformedRef>> {
        let rest = text.strip_prefix(Self::SCHEME)?;
        let parts = rest.rsplit_once('#').filter(|(secret, field)| !secret.is_empty() && !field.is_empty());
        Some(
            parts
                .map(|(secret, field)| Self { secret: secret.to_owned(), field: field.to_owned() })
                .ok_or(MalformedRef),
        )
    }
}

/// Why a secret could not be had. Nothing of the secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is none of that name.
    #[error("there is no secret {0}")]
    Missing(String),
    /// It has no such field.
    #[error("the secret {0} has no field {1}")]
    NoField(String, String),
    /// It is no JSON object.
    #[error("the secret {0} is not a JSON object")]
    NotJson(String),
    /// We may not read it, or the service will not give it.
    #[error("the secret {0} was refused: {1}")]
    Refused(String, String),
    /// The service did not answer, or said that it cannot now.
    #[error("the secret {0} could not be read: {1}")]
    Unavailable(String, String),
}

/// Secrets Manager, or an emulator of it.
#[derive(Clone)]
pub struct Secrets {
    client: Client,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// An adapter with a client of its own.
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// The fields of the current version of a secret.
    ///
    /// # Errors
    /// When there is no such secret, it may not be read, is no JSON object, or the service does not answer.
    pub async fn get(&self, name: &str) -> Result<SecretFields, SecretError> {
        let answer = self.client.get_secret_value().secret_id(name).send().await;
        let answer = answer.map_err(|error| match aws::fault(&error) {
            Fault::Code(code, _) if code == "ResourceNotFoundException" => SecretError::Missing(name.to_owned()),
            Fault::Code(code, why) if PASSING.contains(&code.as_str()) => {
                SecretError::Unavailable(name.to_owned(), why)
            }
            Fault::Code(_, why) => SecretError::Refused(name.to_owned(), why),
            Fault::Silence(why) => SecretError::Unavailable(name.to_owned(), why),
        })?;
        // What `serde_json` says of text that it cannot read may quote it.
        let fields = answer.secret_string().and_then(|text| serde_json::from_str(text).ok());
        match fields {
            Some(Value::Object(fields)) => Ok(SecretFields { secret: name.to_owned(), fields }),
            _ => Err(SecretError::NotJson(name.to_owned())),
        }
    }
}

/// The codes that say that another time may do. Source: AWS Secrets Manager API Reference, "Common Errors" and the
/// errors of `GetSecretValue`.
const PASSING: &[&str] = &[
    "InternalFailure",
    "InternalServiceError",
    "InternalServiceErrorException",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "ThrottlingException",
];

/// What one secret holds. `Debug` shows names only.
#[derive(Clone)]
pub struct SecretFields {
    secret: String,
    fields: serde_json::Map<String, Value>,
}

impl SecretFields {
    /// A field: text as it is, anything else (a key as a JWK) as JSON.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn field(&self, name: &str) -> Result<String, SecretError> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Err(SecretError::NoField(self.secret.clone(), name.to_owned())),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Ok(other.to_string()),
        }
    }
}

impl fmt::Debug for SecretFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretFields").field("secret", &self.secret).field("fields", &self.fields.keys()).finish()
    }
}
