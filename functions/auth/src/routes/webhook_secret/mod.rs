//! `/tasks/webhooks/secret`: what a user's webhooks are signed with. It is here, and not with the tasks, because the key that
//! seals it is: nothing that runs tasks' endpoints holds it.

mod rotate;
mod show;

pub use rotate::{describe as describe_rotate, handler as rotate};
pub use show::{describe as describe_show, handler as show};

use chrono::{DateTime, Utc};
use halyard_auth::webhook::public_key_text;
use halyard_store::webhooks::Secret;
use schemars::JsonSchema;
use serde::Serialize;

/// A version of the secret, without the secret.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookSecret")]
pub struct View {
    version: i32,
    /// Its last four characters.
    secret_hint: String,
    /// For the signatures `v1a`: Ed25519, `whpk_` and base 64.
    public_key: String,
    created_at: DateTime<Utc>,
    /// Until when it signs beside its successor; null for the present one.
    expires_at: Option<DateTime<Utc>>,
}

impl From<Secret> for View {
    fn from(secret: Secret) -> Self {
        Self {
            version: secret.version,
            secret_hint: format!("...{}", secret.hint),
            public_key: public_key_text(&secret.public_key),
            created_at: secret.created_at,
            expires_at: secret.expires_at,
        }
    }
}
