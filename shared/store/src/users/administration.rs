//! Accounts as those see them who look after all of them.

use chrono::{DateTime, Utc};
use halyard_domain::{
    UserId,
    rights::Rights,
    user::{AccountStatus, Role},
};
use sqlx::PgConnection;

use super::{Row, User};
use crate::{Now, Result, audit};

impl User {
    /// What the account may do.
    pub fn rights(&self) -> Rights {
        Rights { role: self.role, permissions: self.permissions.clone(), status: self.status }
    }
}

/// Which accounts are listed.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// This text, without regard to case, is a part of the user name, the address or the full name.
    pub text: Option<String>,
    /// With this role.
    pub role: Option<Role>,
    /// With this status.
    pub status: Option<AccountStatus>,
}

/// Accounts after the number `after`, in the order of their numbers. A text is looked for in one account after the other:
/// what that costs grows with the accounts that are passed over.
pub async fn list(
    conn: &mut PgConnection,
    filter: &UserFilter,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<User>> {
    // Not `like`, whose wildcards a text may hold. Full names are folded by Unicode's rules whatever the database's locale;
    // the others are unique by the database's.
    let rows = sqlx::query_as!(
        Row,
        r#"
        select * from users
        where id > $1 and ($2::text is null or role = $2) and ($3::text is null or status = $3)
          and ($4::text is null or strpos(lower(username), lower($4)) > 0 or strpos(lower(email), lower($4)) > 0
               or strpos(lower(full_name collate "und-x-icu"), lower($4 collate "und-x-icu")) > 0)
        order by id limit $5
        "#,
        after.map_or(0, |id| id.0),
        filter.role.map(Role::as_str),
        filter.status.map(AccountStatus::as_str),
        filter.text,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(User::try_from).collect()
}

/// Those of these accounts that exist, at one moment.
pub async fn by_ids(conn: &mut PgConnection, ids: &[UserId]) -> Result<Vec<User>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query_as!(Row, "select * from users where id = any($1)", &ids).fetch_all(conn).await?;
    rows.into_iter().map(User::try_from).collect()
}

/// New rights for an account, judged by two accounts as they were read.
#[derive(Debug, Clone, Copy)]
pub struct NewRights<'a> {
    /// Whose.
    pub user: UserId,
    /// The version that was judged.
    pub version: i64,
    /// Who gives them: must still be what it was, and active.
    pub by: UserId,
    /// The version of that account that was judged.
    pub by_version: i64,
    /// The rights.
    pub rights: &'a Rights,
    /// An active administrator will be none any more: only if another one is left.
    pub removes_admin: bool,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The rights are these now.
    Changed {
        /// The account's new version.
        version: i64,
        /// Its new epoch, which is owed to the session table.
        auth_epoch: i64,
        /// When.
        at: DateTime<Utc>,
    },
    /// One of the two accounts is not what it was: judge again.
    Stale,
    /// There would be no active administrator.
    LastAdmin,
}

/// Changes rights, raises the `auth_epoch`, notes that it is owed and records who did it, all in one statement or not at all.
///
/// Both accounts, and all active administrators where one goes, are locked in the order of their numbers, which brings them
/// up to date: of two administrators who take each other's rights at the same moment one succeeds, and of the last two one
/// stays.
pub async fn change_rights(
    conn: &mut PgConnection,
    new: &NewRights<'_>,
    entry: &audit::Entry<'_>,
    now: Now,
) -> Result<Outcome> {
    let row = sqlx::query!(
        r#"
        with at as (
            select coalesce($9::timestamptz, statement_timestamp()) as now
        ), wanted as (
            select $1::bigint as id union select $3
            union select id from users where $8 and role = 'admin' and status = 'active'
        ), locked as (
            select u.id, u.role, u.status, u.version from users u
            where u.id in (select id from wanted) order by u.id for update of u
        ), judged as (
            select exists (select from locked where id = $1 and version = $2)
                   and exists (select from locked where id = $3 and version = $4 and status = 'active') as fresh,
                   not $8 or exists (select from locked where id <> $1 and role = 'admin' and status = 'active') as others
        ), changed as (
            update users u
            set role = $5, permissions = $6, status = $7, version = u.version + 1, auth_epoch = u.auth_epoch + 1,
                updated_at = at.now
            from at, judged where u.id = $1 and u.version = $2 and judged.fresh and judged.others
            returning u.id, u.version, u.auth_epoch, u.updated_at
        ), noted as (
            select version, auth_epoch, updated_at, owe_epoch(id, auth_epoch, at.now),
                   keep_audit(at.now, $10, $11, $12, $13, $14)
            from changed, at
        )
        select judged.fresh as "fresh!", judged.others as "others!", n.version as "version?",
               n.auth_epoch as "auth_epoch?", n.updated_at as "updated_at?"
        from judged left join noted n on true
        "#,
        new.user.0,
        new.version,
        new.by.0,
        new.by_version,
        new.rights.role.as_str(),
        &new.rights.permissions,
        new.rights.status.as_str(),
        new.removes_admin,
        now,
        entry.actor.map(|a| a.0),
        entry.action,
        entry.target,
        entry.detail,
        entry.request_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(match (row.version, row.auth_epoch, row.updated_at) {
        (Some(version), Some(auth_epoch), Some(at)) => Outcome::Changed { version, auth_epoch, at },
        _ if row.fresh && !row.others => Outcome::LastAdmin,
        _ => Outcome::Stale,
    })
}
