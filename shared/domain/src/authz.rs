//! Permissions and the one policy over them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::user::{Role, RuleBroken};

/// What a caller may do beyond their own things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// List and read users.
    UsersRead,
    /// Change users.
    UsersWrite,
    /// See the tasks of all.
    TasksReadAll,
    /// Cancel, retry and redrive the tasks of all.
    TasksManageAll,
    /// Metrics and the inner details of health.
    MetricsRead,
    /// Pause lanes, read the audit log.
    SystemManage,
}

impl Permission {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::UsersRead,
        Self::UsersWrite,
        Self::TasksReadAll,
        Self::TasksManageAll,
        Self::MetricsRead,
        Self::SystemManage,
    ];

    /// The permission's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UsersRead => "users:read",
            Self::UsersWrite => "users:write",
            Self::TasksReadAll => "tasks:read_all",
            Self::TasksManageAll => "tasks:manage_all",
            Self::MetricsRead => "metrics:read",
            Self::SystemManage => "system:manage",
        }
    }

    /// What stands before the colon of its name.
    fn area(self) -> &'static str {
        self.as_str().split(':').next().unwrap_or_default()
    }
}

/// What may be granted by name, as a JSON Schema.
#[derive(Debug)]
pub struct Grant;

impl JsonSchema for Grant {
    fn schema_name() -> Cow<'static, str> {
        "Grant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A permission, all of an area, or everything.",
            "enum": grants()
        })
    }
}

/// What may be granted by name: everything (`*`), all of an area (`tasks:*`), or a permission.
fn grants() -> Vec<String> {
    let mut all = vec!["*".to_owned()];
    for permission in Permission::ALL {
        let area = format!("{}:*", permission.area());
        if !all.contains(&area) {
            all.push(area);
        }
        all.push(permission.as_str().to_owned());
    }
    all
}

/// Is it what may be granted: a permission, all of an area (`tasks:*`), or everything (`*`)?
pub fn check_grant(name: &str) -> Result<(), RuleBroken> {
    let known = grants().iter().any(|grant| grant == name);
    known.then_some(()).ok_or(RuleBroken::Form("the name of a permission, all of an area as in `tasks:*`, or `*`"))
}

/// The permissions that a role brings.
pub fn of_role(role: Role) -> &'static [&'static str] {
    match role {
        Role::Admin => &["*"],
        Role::Operator => &["users:read", "tasks:read_all", "tasks:manage_all", "metrics:read", "system:manage"],
        Role::User => &[],
    }
}

/// A set of granted permissions, by name, as tokens and sessions carry it. `*` grants everything, `area:*` an area.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Grants(pub Vec<String>);

impl Grants {
    /// What a role and personal grants give together, without repeats. Grants travel as words: what is not one word is
    /// none, lest it be two on the other side.
    pub fn of(role: Role, personal: &[String]) -> Self {
        let mut all: Vec<String> = of_role(role).iter().map(|&p| p.to_owned()).collect();
        let is_word = |p: &&String| !p.is_empty() && !p.contains(char::is_whitespace);
        all.extend(personal.iter().filter(is_word).filter(|p| !of_role(role).contains(&p.as_str())).cloned());
        Self(all)
    }

    /// Does the set grant `permission`?
    pub fn allow(&self, permission: Permission) -> bool {
        let name = permission.as_str();
        let area = name.split(':').next().unwrap_or_default();
        self.0.iter().any(|g| g == "*" || g == name || g.strip_suffix(":*").is_some_and(|a| a == area))
    }

    /// Does whoever holds this set hold all of `other` as well?
    pub fn cover(&self, other: &Self) -> bool {
        other.0.iter().all(|wanted| self.covers(wanted))
    }

    fn covers(&self, wanted: &str) -> bool {
        self.0.iter().any(|held| covers(held, wanted))
    }

    /// What both sets grant: the permissions of somebody who may do no more than `scope` of what they may.
    #[must_use]
    pub fn within(&self, scope: &Self) -> Self {
        let narrowed = scope.0.iter().flat_map(|wanted| {
            let below = self.0.iter().filter(|held| covers(wanted, held)).map(String::as_str);
            below.chain(self.covers(wanted).then_some(wanted.as_str()))
        });
        let mut both: Vec<String> = Vec::new();
        for grant in narrowed {
            if both.iter().all(|held| held != grant) {
                both.push(grant.to_owned());
            }
        }
        // What another one grants as well need not be said.
        let said = both.clone();
        both.retain(|grant| said.iter().all(|other| other == grant || !covers(other, grant)));
        Self(both)
    }
}

/// The greatest role, up to `role`, that brings nothing beyond these grants: whoever acts within a scope is not taken for
/// more than they may do by somebody who goes by roles.
pub fn role_within(role: Role, grants: &Grants) -> Role {
    let up_to: &[Role] = match role {
        Role::Admin => &[Role::Admin, Role::Operator],
        Role::Operator => &[Role::Operator],
        Role::User => &[],
    };
    let brings_no_more = |role: &&Role| grants.cover(&Grants::of(**role, &[]));
    up_to.iter().find(brings_no_more).copied().unwrap_or(Role::User)
}

/// Does one grant imply another? By name: the permissions of an area one by one are less than the area, which may get another
/// one tomorrow.
fn covers(held: &str, wanted: &str) -> bool {
    let area = wanted.split(':').next().unwrap_or_default();
    held == "*" || held == wanted || (wanted != "*" && held.strip_suffix(":*").is_some_and(|held| held == area))
}
