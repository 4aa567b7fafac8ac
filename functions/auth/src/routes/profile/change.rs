//! The body of `PUT /auth/profile`.

use halyard_domain::user::check_email;
use halyard_http::{Validate, Violations};
use halyard_store::users::ProfileChange;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::{
    error::AuthError,
    fields::{name, schema},
    merge_patch,
};

/// The largest preferences, as JSON text in bytes.
const LARGEST: usize = 16 * 1024;
/// The deepest nesting of preferences.
const DEEPEST: usize = 8;

/// What is to change. What is absent stays; null clears. Fields that are not known are ignored, as the original did.
#[derive(Deserialize, JsonSchema)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
pub struct Request {
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<schema::Name>")]
    full_name: Option<Option<String>>,
    #[schemars(with = "Option<schema::Email>")]
    email: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<schema::Name>")]
    department: Option<Option<String>>,
    /// Merged into those that are there (RFC 7396): null removes a member. At most 16 KiB of JSON text, merged, nested 8
    /// levels deep.
    #[schemars(with = "Option<Map<String, Value>>")]
    preferences: Option<Value>,
}

/// Tells null from absent.
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(d).map(Some)
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        violations.rule("/full_name", name(self.full_name.as_ref().and_then(Option::as_deref)));
        violations.rule("/department", name(self.department.as_ref().and_then(Option::as_deref)));
        violations.rule("/email", self.email.as_deref().map_or(Ok(()), check_email));
        if let Some(preferences) = &self.preferences {
            violations.check(preferences.is_object(), "/preferences", "invalid_type", "must be an object");
            violations.check(depth(preferences) <= DEEPEST, "/preferences", "too_deep", TOO_DEEP);
            violations.check(!holds_nul(preferences), "/preferences", "invalid_characters", "may not hold U+0000");
        }
    }
}

const TOO_DEEP: &str = "may be nested 8 levels deep";

impl Request {
    /// The change to make, given the present preferences.
    ///
    /// # Errors
    /// 422 when the preferences would become too large.
    pub fn change(&self, preferences: &Value) -> Result<ProfileChange, AuthError> {
        let patch = self.preferences.as_ref();
        let preferences = patch.map(|patch| merge_patch::apply(preferences.clone(), patch));
        if preferences.as_ref().is_some_and(|p| p.to_string().len() > LARGEST) {
            return Err(AuthError::PreferencesTooLarge);
        }
        Ok(ProfileChange {
            full_name: self.full_name.clone(),
            email: self.email.clone(),
            department: self.department.clone(),
            preferences,
        })
    }
}

/// How deep a value is nested; a plain one counts 0.
fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or_default()
}

/// PostgreSQL cannot store U+0000, which JSON can say.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}
