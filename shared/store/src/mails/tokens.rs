//! What asks for a token, and what a token is good for. Each is one statement; a token is used up by the statement that
//! does what it stands for.

use halyard_domain::{MailId, MailKind, UserId, mail::HEAD_START};
use sqlx::PgConnection;

use crate::{Now, Result, audit};

/// Owes the mail that lets the owner of an address set a new password, if there is an active account of that address and
/// its mailbox was not written to too often. Of several accounts the one that has verified it, else the oldest. Writes the same for an address without an account, and answers nothing.
///
/// `entry.target` is of no account: that is known here only.
pub async fn ask_reset(
    conn: &mut PgConnection,
    address: &str,
    mail: MailId,
    entry: &audit::Entry<'_>,
    now: Now,
) -> Result<()> {
    let kind = MailKind::ResetPassword;
    sqlx::query!(
        r#"
        with at as (
            select coalesce($3::timestamptz, statement_timestamp()) as now
        ), allowed as materialized (
            select mail_allowed($4, $1, at.now) as yes from at
        ), owner as (
            select id, email, coalesce(full_name, username) as name from users
            where lower(email) = lower($1) and status = 'active' order by email_verified desc, id limit 1
        )
        -- From `allowed` outwards: an address without an account takes its share as well.
        select case when o.id is not null then owe_mail($2, o.id, $4, o.email, o.name, at.now, $5, $6) end as mail,
               case when o.id is not null then keep_audit(at.now, $7, $8, 'user:' || o.id, $9, $10) end as entry
        from allowed cross join at left join owner o on allowed.yes
        "#,
        address,
        mail.0,
        now,
        kind.as_str(),
        HEAD_START.as_seconds_f64(),
        kind.worth().as_seconds_f64(),
        entry.actor.map(|a| a.0),
        entry.action,
        entry.detail,
        entry.request_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// What came of asking for a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is owed.
    Owed,
    /// There is nothing to verify.
    Verified,
    /// The mailbox was written to too often.
    TooOften,
    /// There is no such account, or it may not be used.
    NoAccount,
}

/// Owes a user the mail that verifies their address, once more; or, when another account has verified it, its owner the mail
/// that tells them.
pub async fn ask_verification(conn: &mut PgConnection, user: UserId, mail: MailId, now: Now) -> Result<Asked> {
    let kind = MailKind::VerifyEmail;
    let row = sqlx::query!(
        r#"
        with at as (
            select coalesce($3::timestamptz, statement_timestamp()) as now
        ), account as materialized (
            select id, email, coalesce(full_name, username) as name, email_verified from users
            where id = $1 and status = 'active'
        )
        select a.email_verified as "verified!",
               case when not a.email_verified then owe_verification($2, a.id, a.email, a.name, at.now, $4, $5) end is not null
                   as "mailed!"
        from account a, at
        "#,
        user.0,
        mail.0,
        now,
        HEAD_START.as_seconds_f64(),
        kind.worth().as_seconds_f64(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(match row {
        None => Asked::NoAccount,
        Some(row) if row.verified => Asked::Verified,
        Some(row) if row.mailed => Asked::Owed,
        Some(_) => Asked::TooOften,
    })
}

/// Whose password a token would reset now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Their name.
    pub username: String,
    /// Their address.
    pub email: String,
}

/// Whose password a token would reset now. Asked before a password is judged and hashed, which is dear; what counts is
/// [`reset_password`].
pub async fn owner(conn: &mut PgConnection, token_hash: &[u8; 32], now: Now) -> Result<Option<Owner>> {
    let owner = sqlx::query_as!(
        Owner,
        "select u.username, u.email from mail_tokens t join users u on u.id = t.user_id
         where t.hash = $1 and t.purpose = $3 and t.expires_at > coalesce($2::timestamptz, statement_timestamp())
           and u.status = 'active' and lower(u.email) = lower(t.address)
           and u.password_changed_at = t.password_changed_at",
        token_hash.as_slice(),
        now,
        MailKind::ResetPassword.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(owner)
}

/// A new password by a token.
#[derive(Debug, Clone, Copy)]
pub struct Reset<'a> {
    /// SHA-256 of the token.
    pub token_hash: &'a [u8; 32],
    /// The new password's PHC string.
    pub new_hash: &'a str,
    /// The mail that tells the owner.
    pub notice: MailId,
}

/// Uses a token up, sets the password, raises the `auth_epoch` and notes that it is owed, owes the owner a mail and records
/// it, in one statement. Answers whose password it was and the new epoch; `None` when the token is good for nothing.
///
/// `entry.target` is of no account: that is known here only.
pub async fn reset_password(
    conn: &mut PgConnection,
    reset: &Reset<'_>,
    entry: &audit::Entry<'_>,
    now: Now,
) -> Result<Option<(UserId, i64)>> {
    let (purpose, notice) = (MailKind::ResetPassword, MailKind::PasswordChanged);
    let row = sqlx::query!(
        r#"
        with at as (
            select coalesce($3::timestamptz, statement_timestamp()) as now
        ), used as (
            delete from mail_tokens t using at
            where t.hash = $1 and t.purpose = $4 and t.expires_at > at.now
            returning t.user_id, t.address, t.password_changed_at
        ), changed as (
            update users u set password_hash = $2, password_changed_at = at.now, auth_epoch = u.auth_epoch + 1
            from used, at
            where u.id = used.user_id and u.status = 'active' and lower(u.email) = lower(used.address)
              and u.password_changed_at = used.password_changed_at
            returning u.id, u.auth_epoch, u.email, coalesce(u.full_name, u.username) as name
        )
        select id, auth_epoch, owe_epoch(id, auth_epoch, at.now), keep_audit(at.now, $9, $10, 'user:' || id, $11, $12),
               owe_mail($5, id, $6, email, name, at.now, $7, $8)
        from changed, at
        "#,
        reset.token_hash.as_slice(),
        reset.new_hash,
        now,
        purpose.as_str(),
        reset.notice.0,
        notice.as_str(),
        HEAD_START.as_seconds_f64(),
        notice.worth().as_seconds_f64(),
        entry.actor.map(|a| a.0),
        entry.action,
        entry.detail,
        entry.request_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (UserId(row.id), row.auth_epoch)))
}

/// Uses a token up, notes that the address is the account's, and records it, in one statement. Answers whose; `None` when
/// the token is good for nothing, or another account was faster to verify the address.
///
/// # Errors
/// `Conflict(EmailTaken)` when another one does so at this moment; the token is left as it was.
///
/// `entry.target` is of no account: that is known here only.
pub async fn verify_email(
    conn: &mut PgConnection,
    token_hash: &[u8; 32],
    entry: &audit::Entry<'_>,
    now: Now,
) -> Result<Option<UserId>> {
    let row = sqlx::query!(
        r#"
        with at as (
            select coalesce($2::timestamptz, statement_timestamp()) as now
        ), used as (
            delete from mail_tokens t using at
            where t.hash = $1 and t.purpose = $3 and t.expires_at > at.now
            returning t.user_id, t.address
        ), verified as (
            update users u set email_verified = true, version = u.version + 1, updated_at = at.now
            from used, at where u.id = used.user_id and u.status = 'active' and lower(u.email) = lower(used.address)
              and not exists (
                  select from users o where lower(o.email) = lower(u.email) and o.email_verified and o.id <> u.id)
            returning u.id
        )
        select id, keep_audit(at.now, $4, $5, 'user:' || id, $6, $7) from verified, at
        "#,
        token_hash.as_slice(),
        now,
        MailKind::VerifyEmail.as_str(),
        entry.actor.map(|a| a.0),
        entry.action,
        entry.detail,
        entry.request_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| UserId(row.id)))
}
