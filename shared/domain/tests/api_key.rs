//! When a key counts, and what is left of it.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{
    ApiKeyId, Entropy, UserId,
    api_key::{ApiKey, LONGEST, Owner, REMEMBERED},
    authz::{Grants, Permission},
    user::Role,
};

fn now() -> DateTime<Utc> {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn key(role: Role, scope: &[&str]) -> ApiKey {
    ApiKey {
        id: ApiKeyId(Entropy::seeded(1).ulid(now())),
        user_id: UserId(7),
        name: "a program".to_owned(),
        hash: String::new(),
        scope: Grants(scope.iter().map(|&name| name.to_owned()).collect()),
        owner: Owner { username: "maria".to_owned(), role, permissions: Grants::of(role, &[]), auth_epoch: 3 },
        created_at: now(),
        expires_at: now() + LONGEST,
        revoked_at: None,
    }
}

#[test]
fn a_key_counts_until_its_end_its_deletion_or_a_higher_epoch() {
    let key = key(Role::User, &[]);
    let end = key.expires_at;
    let deleted = key.clone().revoked(now());
    for (key, at, epoch, live) in [
        (&key, now(), 3, true),
        (&key, now(), 2, true),
        (&key, now(), 4, false),
        (&key, end - Duration::milliseconds(1), 3, true),
        (&key, end, 3, false),
        (&deleted, now(), 3, false),
        (&deleted, now(), 0, false),
    ] {
        assert_eq!(key.is_live(at, epoch), live, "{:?} at {at} under {epoch}", key.revoked_at);
    }
}

#[test]
fn a_deleted_key_is_remembered_for_a_day_and_never_beyond_its_end() {
    assert_eq!(key(Role::User, &[]).revoked(now()).expires_at, now() + REMEMBERED);
    let late = now() + LONGEST - Duration::hours(1);
    assert_eq!(key(Role::User, &[]).revoked(late).expires_at, now() + LONGEST);
}

#[test]
fn a_key_may_do_what_both_its_scope_and_its_owner_may() {
    for (role, scope, may, shown) in [
        (Role::Admin, &["*"][..], true, Role::Admin),
        (Role::Admin, &["tasks:*"], true, Role::User),
        (Role::Operator, &["*"], true, Role::Operator),
        (Role::Operator, &["users:read"], false, Role::User),
        (Role::User, &["*"], false, Role::User),
        (Role::Admin, &[], false, Role::User),
    ] {
        let key = key(role, scope);
        assert_eq!((key.permissions().allow(Permission::TasksManageAll), key.role()), (may, shown), "{role} {scope:?}");
    }
}
