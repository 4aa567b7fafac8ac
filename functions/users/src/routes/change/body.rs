//! The body of `PATCH /api/users/{id}`: a JSON merge patch (RFC 7396) of what an account may do.

use std::str::FromStr;

use halyard_domain::{
    authz::{Grant, check_grant},
    rights::RightsChange,
    user::{AccountStatus, Role, UnknownName},
};
use halyard_http::{Validate, Violations};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};

/// The most permissions that are looked at: there are fewer.
const MOST: usize = 32;

/// What is to change. What is absent stays; null takes the personal permissions away, and nothing else can be null. Nothing
/// but rights can be changed here: any other field is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
pub struct Request {
    #[serde(default, deserialize_with = "name")]
    #[schemars(with = "Role")]
    role: Option<Role>,
    /// Personal grants, beyond what the role brings.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<Grant>>", length(max = 32))]
    permissions: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "name")]
    #[schemars(with = "AccountStatus")]
    account_status: Option<AccountStatus>,
}

/// Tells null from absent.
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(d).map(Some)
}

/// A name of a role or a status. Read as a text: to `serde_json` an enum that is null or a number is no JSON at all.
fn name<'de, D: Deserializer<'de>, T: FromStr<Err = UnknownName>>(d: D) -> Result<Option<T>, D::Error> {
    String::deserialize(d)?.parse().map(Some).map_err(D::Error::custom)
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        let permissions = self.permissions.iter().flatten().flatten();
        violations.check(permissions.clone().count() <= MOST, "/permissions", "too_long", "may have at most 32 items");
        for (index, name) in permissions.enumerate().take(MOST) {
            violations.rule(format!("/permissions/{index}"), check_grant(name));
        }
    }
}

impl Request {
    /// The change that is asked for.
    pub fn into_change(self) -> RightsChange {
        RightsChange {
            role: self.role,
            permissions: self.permissions.map(Option::unwrap_or_default),
            status: self.account_status,
        }
    }
}
