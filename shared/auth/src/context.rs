//! The authorizer's context: how a verified caller travels from the authorizer to a function, in
//! `requestContext.authorizer.lambda`. Every value is a string, as the narrowest gateway would have it.

use chrono::DateTime;
use halyard_domain::{UserId, authz::Grants};
use serde_json::{Value, json};

use crate::{Credential, Principal, verifier::AuthnFailure};

/// What the authorizer found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authn {
    /// A good credential.
    Ok(Box<Principal>),
    /// A credential that is not good: the http layer answers 401.
    Invalid(AuthnFailure),
    /// No credential, on a route that can do without.
    Anonymous,
    /// Nobody can say: the http layer answers 503.
    Unavailable,
}

impl Authn {
    /// The context that says so.
    pub fn to_context(&self) -> Value {
        match self {
            Self::Ok(principal) => to_context(principal),
            Self::Invalid(failure) => json!({"authn": "invalid", "reason": failure.code()}),
            Self::Anonymous => json!({"authn": "anonymous"}),
            Self::Unavailable => json!({"authn": "unavailable"}),
        }
    }

    /// What a context says. `None` for one that the authorizer did not write: such a caller is nobody.
    pub fn from_context(context: &Value) -> Option<Self> {
        match text(context, "authn")? {
            "ok" => from_context(context).map(|principal| Self::Ok(Box::new(principal))),
            "invalid" => {
                let reason = text(context, "reason").and_then(AuthnFailure::from_code);
                Some(Self::Invalid(reason.unwrap_or(AuthnFailure::Invalid)))
            }
            "anonymous" => Some(Self::Anonymous),
            "unavailable" => Some(Self::Unavailable),
            _ => None,
        }
    }
}

/// The context of a good credential.
pub fn to_context(principal: &Principal) -> Value {
    let mut context = json!({
        "authn": "ok",
        "user_id": principal.user_id.to_string(),
        "username": principal.username,
        "role": principal.role.as_str(),
        "permissions": principal.permissions.0.join(" "),
        "auth_time": principal.authenticated_at.timestamp().to_string(),
        "exp": principal.expires_at.timestamp().to_string(),
    });
    match &principal.credential {
        Credential::Session { id, methods } => {
            context["session_id"] = id.to_string().into();
            context["amr"] = methods.join(" ").into();
        }
        Credential::ApiKey { id } => context["api_key_id"] = id.to_string().into(),
    }
    context
}

/// The caller that a context names; `None` unless it says `authn: ok` and is whole.
pub fn from_context(context: &Value) -> Option<Principal> {
    if text(context, "authn")? != "ok" {
        return None;
    }
    let time = |key| DateTime::from_timestamp(text(context, key)?.parse().ok()?, 0);
    Some(Principal {
        user_id: UserId(text(context, "user_id")?.parse().ok()?),
        username: text(context, "username")?.to_owned(),
        role: text(context, "role")?.parse().ok()?,
        permissions: Grants(words(context, "permissions")?),
        credential: credential(context)?,
        authenticated_at: time("auth_time")?,
        expires_at: time("exp")?,
    })
}

/// A session or an API key, never both.
fn credential(context: &Value) -> Option<Credential> {
    match (text(context, "session_id"), text(context, "api_key_id")) {
        (Some(id), None) => Some(Credential::Session { id: id.parse().ok()?, methods: words(context, "amr")? }),
        (None, Some(id)) => Some(Credential::ApiKey { id: id.parse().ok()? }),
        _ => None,
    }
}

fn words(context: &Value, key: &str) -> Option<Vec<String>> {
    Some(text(context, key)?.split_whitespace().map(str::to_owned).collect())
}

fn text<'a>(context: &'a Value, key: &str) -> Option<&'a str> {
    context.get(key)?.as_str()
}
