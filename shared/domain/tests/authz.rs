//! Scopes: never more than either side grants.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use halyard_domain::{
    authz::{Grants, Permission, role_within},
    user::Role,
};
use proptest::prelude::*;

fn grants(names: &[&str]) -> Grants {
    Grants(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_scope_narrows_and_never_widens() {
    let cases: &[(&[&str], &[&str], &[&str])] = &[
        (&["*"], &[], &[]),
        (&[], &["*"], &[]),
        (&["*"], &["*"], &["*"]),
        (&["*"], &["users:*"], &["users:*"]),
        (&["users:*"], &["*"], &["users:*"]),
        (&["users:read", "tasks:read_all"], &["users:*"], &["users:read"]),
        (&["users:*"], &["users:read", "tasks:read_all"], &["users:read"]),
        (&["*", "users:read"], &["*"], &["*"]),
        (&["metrics:read"], &["users:read"], &[]),
    ];
    for (held, scope, both) in cases {
        assert_eq!(grants(held).within(&grants(scope)), grants(both), "{held:?} within {scope:?}");
    }
}

#[test]
fn a_grant_covers_itself_its_area_and_nothing_greater() {
    for (held, grant, covers) in [
        ("*", "*", true),
        ("*", "users:*", true),
        ("users:*", "users:*", true),
        ("users:*", "users:read", true),
        ("users:*", "*", false),
        ("users:read", "users:*", false),
        ("users:*", "tasks:read_all", false),
        ("users:*", "users", true),
        ("user:*", "users:read", false),
        ("", "users:read", false),
        ("*:*", "*", false),
        ("*:*", "users:read", false),
    ] {
        assert_eq!(grants(&[held]).cover(&grants(&[grant])), covers, "{held} covers {grant}");
    }
}

#[test]
fn a_role_is_what_the_grants_leave_of_it() {
    let operator = grants(&["users:*", "tasks:*", "metrics:*", "system:*"]);
    for (role, held, left) in [
        (Role::Admin, grants(&["*"]), Role::Admin),
        (Role::Admin, operator.clone(), Role::Operator),
        (Role::Admin, grants(&["metrics:read"]), Role::User),
        (Role::Admin, grants(&[]), Role::User),
        (Role::Operator, grants(&["*"]), Role::Operator),
        (Role::Operator, grants(&["tasks:*"]), Role::User),
        (Role::User, grants(&["*"]), Role::User),
    ] {
        assert_eq!(role_within(role, &held), left, "{role} {held:?}");
    }
}

fn any_grants() -> impl Strategy<Value = Grants> {
    let names = [
        "*",
        "users:*",
        "tasks:*",
        "system:*",
        "users:read",
        "users:write",
        "tasks:read_all",
        "metrics:read",
        "*:*",
        "x",
        "",
    ];
    prop::collection::vec(prop::sample::select(names.to_vec()), 0..6).prop_map(|names| grants(&names))
}

proptest! {
    #[test]
    fn both_sides_must_allow(held in any_grants(), scope in any_grants()) {
        let both = held.within(&scope);
        for permission in Permission::ALL {
            prop_assert_eq!(both.allow(permission), held.allow(permission) && scope.allow(permission), "{:?}", permission);
        }
    }

    #[test]
    fn a_scope_never_grants_what_either_side_does_not_cover(held in any_grants(), scope in any_grants()) {
        let both = held.within(&scope);
        prop_assert!(held.cover(&both) && scope.cover(&both), "{:?}", both);
        prop_assert_eq!(both.within(&scope), both.clone(), "twice is once");
    }

    #[test]
    fn what_is_covered_is_allowed(held in any_grants(), other in any_grants()) {
        if held.cover(&other) {
            for permission in Permission::ALL {
                prop_assert!(held.allow(permission) || !other.allow(permission));
            }
        }
    }
}
