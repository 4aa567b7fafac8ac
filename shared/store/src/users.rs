//! Accounts.

use chrono::{DateTime, Utc};
use halyard_domain::{
    MailId, MailKind, UserId,
    api_key::Owner,
    mail::HEAD_START,
    user::{AccountStatus, Role},
};
use sqlx::PgConnection;

use crate::{Now, Result, StoreError, audit, rows::parse};

mod administration;

pub use administration::{NewRights, Outcome, UserFilter, by_ids, change_rights, list};

/// An account.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The number.
    pub id: UserId,
    /// As it was written at registration; unique without regard to case.
    pub username: String,
    /// Likewise.
    pub email: String,
    /// What the user wants to be called.
    pub full_name: Option<String>,
    /// Where the user works.
    pub department: Option<String>,
    /// The role.
    pub role: Role,
    /// Personal grants, beyond what the role brings.
    pub permissions: Vec<String>,
    /// May the account be used?
    pub status: AccountStatus,
    /// Was the address confirmed?
    pub email_verified: bool,
    /// Is a second factor asked for?
    pub two_factor_enabled: bool,
    /// The password's PHC string.
    pub password_hash: String,
    /// An object.
    pub preferences: serde_json::Value,
    /// Registered.
    pub created_at: DateTime<Utc>,
    /// Profile last changed.
    pub updated_at: DateTime<Utc>,
    /// Last login.
    pub last_login: Option<DateTime<Utc>>,
    /// Logins so far.
    pub login_count: i64,
    /// Password last changed.
    pub password_changed_at: DateTime<Utc>,
    /// Grows with each change of the profile: the `ETag`.
    pub version: i64,
    /// Grows when every session is to end.
    pub auth_epoch: i64,
}

impl User {
    /// What the account's API keys know of it; `None` while it may not be used.
    pub fn as_owner(&self) -> Option<Owner> {
        let owner = || Owner {
            username: self.username.clone(),
            role: self.role,
            permissions: self.rights().grants(),
            auth_epoch: self.auth_epoch,
        };
        (self.status == AccountStatus::Active).then(owner)
    }
}

/// An account to be.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Already checked by `domain::user::check_username`.
    pub username: String,
    /// Already checked by `domain::user::check_email`.
    pub email: String,
    /// What the user wants to be called.
    pub full_name: Option<String>,
    /// The password's PHC string.
    pub password_hash: String,
    /// The role.
    pub role: Role,
}

/// What a profile change changes: `None` leaves a field alone, `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub struct ProfileChange {
    /// The new full name.
    pub full_name: Option<Option<String>>,
    /// The new address; it counts as unverified then.
    pub email: Option<String>,
    /// The new department.
    pub department: Option<Option<String>>,
    /// The whole new object, merged by the caller.
    pub preferences: Option<serde_json::Value>,
}

struct Row {
    id: i64,
    username: String,
    email: String,
    full_name: Option<String>,
    department: Option<String>,
    role: String,
    permissions: Vec<String>,
    status: String,
    email_verified: bool,
    two_factor_enabled: bool,
    password_hash: String,
    preferences: serde_json::Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    last_login: Option<DateTime<Utc>>,
    login_count: i64,
    password_changed_at: DateTime<Utc>,
    version: i64,
    auth_epoch: i64,
}

impl TryFrom<Row> for User {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: UserId(row.id),
            role: parse(&row.role)?,
            status: parse(&row.status)?,
            username: row.username,
            email: row.email,
            full_name: row.full_name,
            department: row.department,
            permissions: row.permissions,
            email_verified: row.email_verified,
            two_factor_enabled: row.two_factor_enabled,
            password_hash: row.password_hash,
            preferences: row.preferences,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_login: row.last_login,
            login_count: row.login_count,
            password_changed_at: row.password_changed_at,
            version: row.version,
            auth_epoch: row.auth_epoch,
        })
    }
}

/// Adds an account, and owes it the mail that verifies its address; or, when another account has verified that address, its
/// owner the mail that tells them. Whoever asks cannot tell which.
///
/// # Errors
/// `Conflict(UsernameTaken)`.
pub async fn insert(conn: &mut PgConnection, new: &NewUser, verification: MailId, now: Now) -> Result<User> {
    let kind = MailKind::VerifyEmail;
    sqlx::query_as!(
        Row,
        r#"
        with at as (
            select coalesce($6::timestamptz, statement_timestamp()) as now
        ), made as (
            insert into users
                (username, email, full_name, password_hash, role, created_at, updated_at, password_changed_at)
            select $1, $2, $3, $4, $5, at.now, at.now, at.now from at
            returning *
        ), mailed as (
            select owe_verification($7, id, email, coalesce(full_name, username), at.now, $8, $9) from made, at
        )
        select id as "id!", username as "username!", email as "email!", full_name, department, role as "role!",
               permissions as "permissions!", status as "status!", email_verified as "email_verified!",
               two_factor_enabled as "two_factor_enabled!", password_hash as "password_hash!",
               preferences as "preferences!", created_at as "created_at!", updated_at as "updated_at!", last_login,
               login_count as "login_count!", password_changed_at as "password_changed_at!", version as "version!",
               auth_epoch as "auth_epoch!"
        from made left join mailed on true
        "#,
        new.username,
        new.email,
        new.full_name,
        new.password_hash,
        new.role.as_str(),
        now,
        verification.0,
        HEAD_START.as_seconds_f64(),
        kind.worth().as_seconds_f64(),
    )
    .fetch_one(conn)
    .await?
    .try_into()
}

/// The account that a login names: by verified address when the text holds an `@` (which no user name does), else by name.
/// Without regard to case.
pub async fn by_login(conn: &mut PgConnection, username_or_email: &str) -> Result<Option<User>> {
    let row = if username_or_email.contains('@') {
        sqlx::query_as!(Row, "select * from users where lower(email) = lower($1) and email_verified", username_or_email)
            .fetch_optional(conn)
            .await?
    } else {
        sqlx::query_as!(Row, "select * from users where lower(username) = lower($1)", username_or_email)
            .fetch_optional(conn)
            .await?
    };
    row.map(User::try_from).transpose()
}

/// The account with that number.
pub async fn by_id(conn: &mut PgConnection, id: UserId) -> Result<Option<User>> {
    let row = sqlx::query_as!(Row, "select * from users where id = $1", id.0).fetch_optional(conn).await?;
    row.map(User::try_from).transpose()
}

/// Notes a login.
pub async fn record_login(conn: &mut PgConnection, id: UserId, now: Now) -> Result<()> {
    sqlx::query!(
        "update users set last_login = coalesce($2::timestamptz, statement_timestamp()), login_count = login_count + 1
         where id = $1",
        id.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The mails that a change of the address causes.
#[derive(Debug, Clone, Copy)]
pub struct AddressMails {
    /// Verifies the new one.
    pub verification: MailId,
    /// Tells the old one.
    pub notice: MailId,
}

/// Changes a profile; owes the mails that go with it when the address becomes another one. `None` when there is no such
/// account, or its version is not `expected_version`. An address that another account has verified is taken down as any other, and
/// its owner is told. The address before is told when it was verified: else it may be somebody else's mailbox.
pub async fn update_profile(
    conn: &mut PgConnection,
    id: UserId,
    change: &ProfileChange,
    expected_version: Option<i64>,
    mails: AddressMails,
    now: Now,
) -> Result<Option<User>> {
    let (verify, tell) = (MailKind::VerifyEmail, MailKind::EmailChanged);
    let row = sqlx::query_as!(
        Row,
        r#"
        with at as (
            select coalesce($9::timestamptz, statement_timestamp()) as now
        ), before as (
            select id, email, email_verified from users where id = $1 and ($2::bigint is null or version = $2) for no key update
        ), changed as (
            update users u set
                full_name = case when $3 then $4 else full_name end,
                department = case when $5 then $6 else department end,
                email = coalesce($7, u.email),
                email_verified = u.email_verified and ($7::text is null or lower($7) = lower(u.email)),
                preferences = coalesce($8, preferences),
                version = version + 1,
                updated_at = at.now
            from before, at where u.id = before.id
            returning u.*
        ), moved as materialized (
            select c.id, c.email, before.email as old_email, before.email_verified as was_theirs,
                   coalesce(c.full_name, c.username) as name
            from changed c join before using (id) where lower(c.email) <> lower(before.email)
        ), mailed as (
            select owe_verification($10, id, email, name, at.now, $13, $14),
                   case when was_theirs then owe_mail($11, id, $12, old_email, name, at.now, $13, $15) end
            from moved, at
        )
        select id as "id!", username as "username!", email as "email!", full_name, department, role as "role!",
               permissions as "permissions!", status as "status!", email_verified as "email_verified!",
               two_factor_enabled as "two_factor_enabled!", password_hash as "password_hash!",
               preferences as "preferences!", created_at as "created_at!", updated_at as "updated_at!", last_login,
               login_count as "login_count!", password_changed_at as "password_changed_at!", version as "version!",
               auth_epoch as "auth_epoch!"
        from changed left join mailed on true
        "#,
        id.0,
        expected_version,
        change.full_name.is_some(),
        change.full_name.as_ref().and_then(Option::as_deref),
        change.department.is_some(),
        change.department.as_ref().and_then(Option::as_deref),
        change.email,
        change.preferences,
        now,
        mails.verification.0,
        mails.notice.0,
        tell.as_str(),
        HEAD_START.as_seconds_f64(),
        verify.worth().as_seconds_f64(),
        tell.worth().as_seconds_f64(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(User::try_from).transpose()
}

/// Makes sure that the administrator exists: `true` when the account was made now, which is audited. One that exists, under
/// that name or that verified address, is left as it is, password included.
pub async fn ensure_admin(conn: &mut PgConnection, new: &NewUser, now: Now) -> Result<bool> {
    let made = sqlx::query_scalar!(
        r#"
        with c as (
            select coalesce($6::timestamptz, statement_timestamp()) as now
        ), made as (
            insert into users
                (username, email, full_name, password_hash, role, email_verified, created_at, updated_at, password_changed_at)
            select $1, $2, $3, $4, $5, true, c.now, c.now, c.now from c
            where not exists (select from users where lower(username) = lower($1) or (lower(email) = lower($2) and email_verified))
            on conflict do nothing
            returning id, role
        )
        select count(keep_audit(c.now, null, 'user.create', 'user:' || made.id, jsonb_build_object('role', made.role), null))
            as "n!"
        from made, c
        "#,
        new.username,
        new.email,
        new.full_name,
        new.password_hash,
        new.role.as_str(),
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(made == 1)
}

/// Replaces the hash of the same password by one of another cost, unless the password was changed meanwhile.
pub async fn replace_password_hash(conn: &mut PgConnection, id: UserId, old: &str, new: &str) -> Result<()> {
    sqlx::query!("update users set password_hash = $3 where id = $1 and password_hash = $2", id.0, old, new)
        .execute(conn)
        .await?;
    Ok(())
}

/// A new password.
#[derive(Debug, Clone, Copy)]
pub struct PasswordChange<'a> {
    /// Whose.
    pub user: UserId,
    /// The PHC string that the old password was checked against.
    pub old_hash: &'a str,
    /// The new one's.
    pub new_hash: &'a str,
    /// The mail that tells its owner.
    pub notice: MailId,
}

/// Changes a password, raises the `auth_epoch`, notes that it is owed, owes the owner a mail and records who did it, in one
/// statement: a transaction of several would hold the account's row when its environment is frozen in between. Answers with
/// the new epoch; `None` when the account has another password by now, or may not be used.
pub async fn change_password(
    conn: &mut PgConnection,
    change: &PasswordChange<'_>,
    entry: &audit::Entry<'_>,
    now: Now,
) -> Result<Option<i64>> {
    let notice = MailKind::PasswordChanged;
    let row = sqlx::query!(
        r#"
        with at as (
            select coalesce($4::timestamptz, statement_timestamp()) as now
        ), changed as (
            update users set password_hash = $3, password_changed_at = at.now, auth_epoch = auth_epoch + 1
            from at where id = $1 and password_hash = $2 and status = 'active'
            returning id, auth_epoch, email, coalesce(full_name, username) as name
        )
        select auth_epoch, owe_epoch(id, auth_epoch, at.now), keep_audit(at.now, $5, $6, $7, $8, $9),
               owe_mail($10, id, $11, email, name, at.now, $12, $13)
        from changed, at
        "#,
        change.user.0,
        change.old_hash,
        change.new_hash,
        now,
        entry.actor.map(|a| a.0),
        entry.action,
        entry.target,
        entry.detail,
        entry.request_id,
        change.notice.0,
        notice.as_str(),
        HEAD_START.as_seconds_f64(),
        notice.worth().as_seconds_f64(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.auth_epoch))
}
