//! Nobody gets more rights than somebody who has them gives.

use halyard_domain::{
    authz::{Grants, Permission, check_grant},
    rights::{Allowed, Refused, Rights, RightsChange, judge},
    user::{AccountStatus, Role},
};
use proptest::prelude::*;

fn grants(list: &[&str]) -> Grants {
    Grants(list.iter().map(|&g| g.to_owned()).collect())
}

fn rights(role: Role, permissions: &[&str]) -> Rights {
    Rights { role, permissions: grants(permissions).0, status: AccountStatus::Active }
}

fn role(role: Role) -> RightsChange {
    RightsChange { role: Some(role), ..RightsChange::default() }
}

fn permissions(list: &[&str]) -> RightsChange {
    RightsChange { permissions: Some(grants(list).0), ..RightsChange::default() }
}

fn status(status: AccountStatus) -> RightsChange {
    RightsChange { status: Some(status), ..RightsChange::default() }
}

#[test]
fn a_set_covers_what_it_holds_by_name_and_by_wildcard() {
    let cases: &[(&[&str], &[&str], bool)] = &[
        (&["*"], &["*", "users:*", "users:read"], true),
        (&["users:*"], &["users:read", "users:write", "users:*"], true),
        (&["users:*"], &["*"], false),
        (&["users:*"], &["tasks:read_all"], false),
        (&["users:read", "users:write"], &["users:*"], false),
        (&["users:read"], &["users:read"], true),
        (&["users:read"], &["users:write"], false),
        (&["*:*"], &["*"], false),
        (&[], &["users:read"], false),
        (&[], &[], true),
    ];
    for (held, wanted, expected) in cases {
        assert_eq!(grants(held).cover(&grants(wanted)), *expected, "{held:?} covers {wanted:?}");
    }
}

#[test]
fn only_permissions_that_exist_can_be_granted() {
    for good in ["*", "users:*", "tasks:*", "metrics:*", "system:*"] {
        assert!(check_grant(good).is_ok(), "{good}");
    }
    for permission in Permission::ALL {
        assert!(check_grant(permission.as_str()).is_ok(), "{}", permission.as_str());
    }
    for bad in
        ["", "users", "users:", "users:delete", ":*", "*:*", "all:*", "users:**", "USERS:READ", " *", "users:read\0"]
    {
        assert!(check_grant(bad).is_err(), "{bad:?}");
    }
}

/// What a caller holds, the account, the change, and what becomes of it.
type Case<'a> = (&'a [&'a str], &'a Rights, RightsChange, Result<Allowed, Refused>);

#[test]
fn what_a_caller_may_change() {
    use Refused::{GrantsMore, HoldsMore, NotPermitted};
    let admin = rights(Role::Admin, &[]);
    let operator = rights(Role::Operator, &[]);
    let user = rights(Role::User, &[]);
    let clerk: &[&str] = &["users:read", "users:write"];
    let all: &[&str] = &["*"];
    let off = status(AccountStatus::Disabled);
    let cases: &[Case<'_>] = &[
        (all, &user, role(Role::Admin), Ok(Allowed::Change)),
        (all, &user, permissions(&["*"]), Ok(Allowed::Change)),
        (all, &admin, role(Role::User), Ok(Allowed::RemovesAdmin)),
        (all, &admin, off.clone(), Ok(Allowed::RemovesAdmin)),
        (all, &admin, permissions(&["users:read"]), Ok(Allowed::Change)),
        (all, &user, role(Role::User), Ok(Allowed::Nothing)),
        (all, &user, RightsChange::default(), Ok(Allowed::Nothing)),
        (clerk, &user, off.clone(), Ok(Allowed::Change)),
        (clerk, &user, permissions(&["users:write"]), Ok(Allowed::Change)),
        (clerk, &user, permissions(&["users:*"]), Err(GrantsMore)),
        (clerk, &user, permissions(&["*"]), Err(GrantsMore)),
        (clerk, &user, permissions(&["metrics:read"]), Err(GrantsMore)),
        (clerk, &user, role(Role::Operator), Err(GrantsMore)),
        (clerk, &user, role(Role::Admin), Err(GrantsMore)),
        (clerk, &operator, off.clone(), Err(HoldsMore)),
        (clerk, &operator, role(Role::User), Err(HoldsMore)),
        (clerk, &admin, off.clone(), Err(HoldsMore)),
        (&["users:read"], &user, off.clone(), Err(NotPermitted)),
        (&["users:read"], &user, RightsChange::default(), Err(NotPermitted)),
    ];
    for (held, before, change, expected) in cases {
        let held = grants(held);
        assert_eq!(judge([&held, &held], false, before, &before.after(change)), *expected, "{held:?}: {change:?}");
    }
}

#[test]
fn a_credential_with_less_than_its_account_can_do_less_and_an_account_that_lost_rights_too() {
    let (all, less) = (grants(&["*"]), grants(&["users:write"]));
    let user = rights(Role::User, &[]);
    let raised = user.after(&role(Role::Admin));
    assert_eq!(judge([&all, &less], false, &user, &raised), Err(Refused::GrantsMore));
    assert_eq!(judge([&less, &all], false, &user, &raised), Err(Refused::GrantsMore));
    assert_eq!(judge([&grants(&[]), &all], false, &user, &user), Err(Refused::NotPermitted));
}

#[test]
fn nobody_changes_their_own_rights() {
    let all = grants(&["*"]);
    let admin = rights(Role::Admin, &[]);
    for change in [role(Role::User), status(AccountStatus::Disabled), permissions(&["users:read"])] {
        assert_eq!(judge([&all, &all], true, &admin, &admin.after(&change)), Err(Refused::OwnAccount), "{change:?}");
    }
    assert_eq!(judge([&all, &all], true, &admin, &admin.after(&role(Role::Admin))), Ok(Allowed::Nothing));
}

#[test]
fn the_order_of_grants_and_repeats_change_nothing() {
    let all = grants(&["*"]);
    let before = rights(Role::User, &["users:write", "users:read"]);
    let after = before.after(&permissions(&["users:read", "users:write", "users:read"]));
    assert_eq!(after.permissions, ["users:read", "users:write"]);
    assert_eq!(judge([&all, &all], false, &before, &after), Ok(Allowed::Nothing));
}

fn any_grants() -> impl Strategy<Value = Vec<String>> {
    let names: Vec<String> = Permission::ALL.iter().map(|p| p.as_str().to_owned()).collect();
    let areas = ["users:*", "tasks:*", "metrics:*", "system:*", "*"].map(str::to_owned);
    proptest::sample::subsequence([names, areas.to_vec()].concat(), 0..6)
}

fn any_role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Admin), Just(Role::Operator), Just(Role::User)]
}

proptest! {
    #[test]
    fn an_allowed_change_gives_no_permission_that_the_caller_has_not(
        held in any_grants(), before in any_grants(), after in any_grants(), from in any_role(), to in any_role(),
    ) {
        let held = Grants(held);
        let before = Rights { role: from, permissions: before, status: AccountStatus::Active };
        let after = before.after(&RightsChange { role: Some(to), permissions: Some(after), status: None });
        if matches!(judge([&held, &held], false, &before, &after), Ok(Allowed::Change | Allowed::RemovesAdmin)) {
            for permission in Permission::ALL {
                prop_assert!(held.allow(permission) || !after.grants().allow(permission), "{permission:?}");
                prop_assert!(held.allow(permission) || !before.grants().allow(permission), "{permission:?}");
            }
        }
    }
}
