//! Who may change what somebody may do.

use crate::{
    authz::{Grants, Permission},
    user::{AccountStatus, Role},
};

/// What an account may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The role.
    pub role: Role,
    /// Personal grants, beyond what the role brings.
    pub permissions: Vec<String>,
    /// May it be used?
    pub status: AccountStatus,
}

/// What is to change; `None` leaves a part alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RightsChange {
    /// The new role.
    pub role: Option<Role>,
    /// The new personal grants, all of them.
    pub permissions: Option<Vec<String>>,
    /// The new status.
    pub status: Option<AccountStatus>,
}

impl Rights {
    /// What the account is granted, whether it may be used or not.
    pub fn grants(&self) -> Grants {
        Grants::of(self.role, &self.permissions)
    }

    /// The rights after a change. Grants are a set: their order and repeats say nothing.
    #[must_use]
    pub fn after(&self, change: &RightsChange) -> Self {
        let mut permissions = change.permissions.clone().unwrap_or_else(|| self.permissions.clone());
        permissions.sort();
        permissions.dedup();
        Self { role: change.role.unwrap_or(self.role), permissions, status: change.status.unwrap_or(self.status) }
    }

    /// Do both say the same?
    fn same(&self, other: &Self) -> bool {
        let nothing = RightsChange::default();
        self.after(&nothing) == other.after(&nothing)
    }

    /// Is this an administrator who may sign in?
    pub fn is_active_admin(&self) -> bool {
        self.role == Role::Admin && self.status == AccountStatus::Active
    }
}

/// A change that may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Nothing would be different.
    Nothing,
    /// Something, and the number of active administrators does not fall.
    Change,
    /// An active administrator will be none any more: another one must be left.
    RemovesAdmin,
}

/// A change that may not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The caller may not change the rights of users at all.
    NotPermitted,
    /// The caller's own account.
    OwnAccount,
    /// The account holds something that the caller does not.
    HoldsMore,
    /// It would be given something that the caller does not hold.
    GrantsMore,
}

/// May whoever holds all of `holds` (the caller's account as it is now, and what the credential was given of it) change
/// `before` into `after`? Nobody grants what they do not hold, changes who holds more, or changes their own account: so
/// rights never grow but by somebody who has them, and nobody locks themselves out.
pub fn judge(holds: [&Grants; 2], own_account: bool, before: &Rights, after: &Rights) -> Result<Allowed, Refused> {
    let covered = |rights: &Rights| holds.iter().all(|held| held.cover(&rights.grants()));
    if !holds.iter().all(|held| held.allow(Permission::UsersWrite)) {
        return Err(Refused::NotPermitted);
    }
    if before.same(after) {
        return Ok(Allowed::Nothing);
    }
    if own_account {
        return Err(Refused::OwnAccount);
    }
    if !covered(before) {
        return Err(Refused::HoldsMore);
    }
    if !covered(after) {
        return Err(Refused::GrantsMore);
    }
    let removes = before.is_active_admin() && !after.is_active_admin();
    Ok(if removes { Allowed::RemovesAdmin } else { Allowed::Change })
}
