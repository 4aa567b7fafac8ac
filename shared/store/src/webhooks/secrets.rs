//! What a user's webhooks are signed with.

use chrono::{DateTime, Duration, Utc};
use halyard_domain::UserId;
use sqlx::PgConnection;

use crate::{Now, Result, StoreError, audit};

/// How often a rotation that met another one is made anew.
const ROTATIONS: usize = 8;

/// A version of a user's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// 1 is the first.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Until when it signs beside its successor; `None`: it is the present one.
    pub expires_at: Option<DateTime<Utc>>,
    /// The Ed25519 public key.
    pub public_key: Vec<u8>,
    /// How the shared secret ends.
    pub hint: String,
    /// Both, sealed.
    pub sealed: Vec<u8>,
}

/// A secret to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewSecret<'a> {
    /// Whose.
    pub user: UserId,
    /// Shared secret and private key, sealed.
    pub sealed: &'a [u8],
    /// The Ed25519 public key.
    pub public_key: &'a [u8],
    /// How the shared secret ends.
    pub hint: &'a str,
}

/// The user's secrets that count, the newest first.
pub async fn secrets(conn: &mut PgConnection, user: UserId, now: Now) -> Result<Vec<Secret>> {
    let rows = sqlx::query_as!(
        Secret,
        "select version, created_at, expires_at, public_key, hint, sealed from webhook_secrets
         where user_id = $1 and (expires_at is null or expires_at > coalesce($2::timestamptz, statement_timestamp()))
         order by version desc",
        user.0,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Keeps the first secret of a user who has none, and gives the one that they have then: another may have been faster.
pub async fn keep_first(conn: &mut PgConnection, secret: &NewSecret<'_>, now: Now) -> Result<Vec<u8>> {
    sqlx::query!(
        "insert into webhook_secrets (user_id, version, created_at, sealed, public_key, hint)
         values ($1, 1, coalesce($5::timestamptz, statement_timestamp()), $2, $3, $4)
         on conflict (user_id, version) do nothing",
        secret.user.0,
        secret.sealed,
        secret.public_key,
        secret.hint,
        now,
    )
    .execute(&mut *conn)
    .await?;
    let sealed = sqlx::query_scalar!(
        "select sealed from webhook_secrets where user_id = $1 order by version desc limit 1",
        secret.user.0,
    );
    Ok(sealed.fetch_one(conn).await?)
}

/// Puts a new secret in the place of the present one, which signs beside it for `overlap`; those before that one end. Answers
/// with the new version.
pub async fn rotate(
    conn: &mut PgConnection,
    secret: &NewSecret<'_>,
    overlap: Duration,
    entry: &audit::Entry<'_>,
    now: Now,
) -> Result<i32> {
    // Whoever waited for another rotation did not see its secret, and makes none: the next statement sees it.
    for _ in 0..ROTATIONS {
        if let Some(version) = rotate_once(conn, secret, overlap, entry, now).await? {
            return Ok(version);
        }
    }
    Err(StoreError::unavailable("the secret was rotated again and again"))
}

async fn rotate_once(
    conn: &mut PgConnection,
    secret: &NewSecret<'_>,
    overlap: Duration,
    entry: &audit::Entry<'_>,
    now: Now,
) -> Result<Option<i32>> {
    let row = sqlx::query!(
        r#"
        with at as (
            select coalesce($6::timestamptz, statement_timestamp()) as now
        ), owner as (
            select id from users where id = $1 for no key update
        ), before as (
            select s.version from webhook_secrets s, owner where s.user_id = $1 order by s.version desc limit 1
        ), ending as (
            update webhook_secrets s set expires_at = case when s.version = b.version then at.now + make_interval(secs => $5)
                                                           else least(s.expires_at, at.now) end
            from before b, at where s.user_id = $1
        ), made as (
            insert into webhook_secrets (user_id, version, created_at, sealed, public_key, hint)
            select $1, coalesce((select version from before), 0) + 1, at.now, $2, $3, $4 from at
            on conflict (user_id, version) do nothing
            returning version
        )
        select made.version as "version!", keep_audit(at.now, $7, $8, $9, $10, $11) from made, at
        "#,
        secret.user.0,
        secret.sealed,
        secret.public_key,
        secret.hint,
        overlap.as_seconds_f64(),
        now,
        entry.actor.map(|a| a.0),
        entry.action,
        entry.target,
        entry.detail,
        entry.request_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.version))
}
