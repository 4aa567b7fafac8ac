//! Second factors and recovery codes. Each change is one statement.

use chrono::{DateTime, Utc};
use halyard_domain::UserId;
use sqlx::PgConnection;

use crate::{Now, Result, audit};

/// A second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// The secret, encrypted.
    pub secret: Vec<u8>,
    /// When the user showed that they have it; `None`: it counts for nothing yet.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// Recovery codes that were not used yet.
    pub recovery_codes_left: i64,
}

/// The user's second factor.
pub async fn of(conn: &mut PgConnection, user: UserId) -> Result<Option<SecondFactor>> {
    let row = sqlx::query!(
        r#"select secret, confirmed_at,
                  (select count(*) from recovery_codes where user_id = $1 and used_at is null) as "left!"
           from second_factors where user_id = $1"#,
        user.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| SecondFactor {
        secret: row.secret,
        confirmed_at: row.confirmed_at,
        recovery_codes_left: row.left,
    }))
}

/// Puts a secret in place of one that was not confirmed. `false` when a confirmed one is there.
pub async fn set_up(conn: &mut PgConnection, user: UserId, secret: &[u8], now: Now) -> Result<bool> {
    let done = sqlx::query!(
        "insert into second_factors (user_id, created_at, secret)
         values ($1, coalesce($3::timestamptz, statement_timestamp()), $2)
         on conflict (user_id) do update set secret = excluded.secret, created_at = excluded.created_at, last_step = -1
             where second_factors.confirmed_at is null",
        user.0,
        secret,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A second factor to be confirmed.
#[derive(Debug, Clone, Copy)]
pub struct Confirmation<'a> {
    /// Whose.
    pub user: UserId,
    /// The encrypted secret that the code was checked against.
    pub secret: &'a [u8],
    /// The code's time step.
    pub step: i64,
    /// SHA-256 of the new recovery codes.
    pub recovery_codes: &'a [Vec<u8>],
}

/// Confirms a second factor: it is asked for from now on, the recovery codes are new, sessions that were opened without
/// it end (`auth_epoch`). Answers with the new epoch; `None` when there is no such secret to confirm.
pub async fn confirm(
    conn: &mut PgConnection,
    confirmation: &Confirmation<'_>,
    entry: &audit::Entry<'_>,
    now: Now,
) -> Result<Option<i64>> {
    let row = sqlx::query!(
        r#"
        with at as (
            select coalesce($5::timestamptz, statement_timestamp()) as now
        ), confirmed as (
            update second_factors set confirmed_at = at.now, last_step = $3
            from at where user_id = $1 and secret = $2 and confirmed_at is null and last_step < $3
            returning user_id
        ), gone as (
            delete from recovery_codes using confirmed c where recovery_codes.user_id = c.user_id
        ), codes as (
            insert into recovery_codes (user_id, hash) select c.user_id, h from confirmed c, unnest($4::bytea[]) h
        ), raised as (
            update users set two_factor_enabled = true, version = version + 1, auth_epoch = auth_epoch + 1
            from confirmed c where id = c.user_id and status = 'active'
            returning id, auth_epoch
        )
        select auth_epoch, owe_epoch(id, auth_epoch, at.now), keep_audit(at.now, $6, $7, $8, $9, $10) from raised, at
        "#,
        confirmation.user.0,
        confirmation.secret,
        confirmation.step,
        confirmation.recovery_codes,
        now,
        entry.actor.map(|a| a.0),
        entry.action,
        entry.target,
        entry.detail,
        entry.request_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.auth_epoch))
}

/// Uses up a time step and all before it. `false` when it was used before: somebody saw the code over a shoulder.
/// `anew` replaces the encrypted secret.
pub async fn use_step(conn: &mut PgConnection, user: UserId, step: i64, anew: Option<&[u8]>) -> Result<bool> {
    let done = sqlx::query!(
        "update second_factors set last_step = $2, secret = coalesce($3, secret)
         where user_id = $1 and confirmed_at is not null and last_step < $2",
        user.0,
        step,
        anew,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Uses up a recovery code. `false` when there is no such code, or no longer.
pub async fn use_recovery_code(
    conn: &mut PgConnection,
    user: UserId,
    hash: &[u8],
    entry: &audit::Entry<'_>,
    now: Now,
) -> Result<bool> {
    let row = sqlx::query!(
        r#"
        with at as (
            select coalesce($3::timestamptz, statement_timestamp()) as now
        ), used as (
            update recovery_codes set used_at = at.now from at where user_id = $1 and hash = $2 and used_at is null
            returning user_id
        )
        select keep_audit(at.now, $4, $5, $6, $7, $8) from used, at
        "#,
        user.0,
        hash,
        now,
        entry.actor.map(|a| a.0),
        entry.action,
        entry.target,
        entry.detail,
        entry.request_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// Replaces the recovery codes. `false` when there is no confirmed second factor.
pub async fn replace_recovery_codes(
    conn: &mut PgConnection,
    user: UserId,
    hashes: &[Vec<u8>],
    entry: &audit::Entry<'_>,
    now: Now,
) -> Result<bool> {
    let row = sqlx::query!(
        r#"
        with at as (
            select coalesce($3::timestamptz, statement_timestamp()) as now
        ), factor as (
            select user_id from second_factors where user_id = $1 and confirmed_at is not null for update
        ), gone as (
            delete from recovery_codes using factor f where recovery_codes.user_id = f.user_id
        ), codes as (
            insert into recovery_codes (user_id, hash) select f.user_id, h from factor f, unnest($2::bytea[]) h
        )
        select keep_audit(at.now, $4, $5, $6, $7, $8) from factor, at
        "#,
        user.0,
        hashes,
        now,
        entry.actor.map(|a| a.0),
        entry.action,
        entry.target,
        entry.detail,
        entry.request_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// Takes the second factor away, recovery codes included. `false` when there is none that is confirmed.
pub async fn remove(conn: &mut PgConnection, user: UserId, entry: &audit::Entry<'_>, now: Now) -> Result<bool> {
    let row = sqlx::query!(
        r#"
        with at as (
            select coalesce($2::timestamptz, statement_timestamp()) as now
        ), gone as (
            delete from second_factors where user_id = $1 and confirmed_at is not null returning user_id
        ), codes as (
            delete from recovery_codes using gone g where recovery_codes.user_id = g.user_id
        ), changed as (
            update users set two_factor_enabled = false, version = version + 1 from gone g where id = g.user_id
        )
        select keep_audit(at.now, $3, $4, $5, $6, $7) from gone, at
        "#,
        user.0,
        now,
        entry.actor.map(|a| a.0),
        entry.action,
        entry.target,
        entry.detail,
        entry.request_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}
