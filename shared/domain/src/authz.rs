//! Permissions and the one policy over them.

use serde::{Deserialize, Serialize};

use crate::user::Role;

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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
}
