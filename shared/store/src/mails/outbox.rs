//! From owed to sent. A sender claims, sends, and says what became of it: three steps, of which none waits for another
//! within a transaction. One that dies after the claim costs a minute; one that dies after SES took the mail, a second
//! mail: at least once, as SES offers no more.

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{MailId, MailKind, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Now, Result, rows::parse};

/// How long a claimed mail is left alone: longer than a sender takes.
const CLAIM: Duration = Duration::minutes(1);

/// A mail to be sent, with the hash of the token that it is to carry.
#[derive(Debug, Clone, Copy)]
pub struct Letter {
    /// Which.
    pub id: MailId,
    /// SHA-256 of the token; of no meaning for a kind that carries none.
    pub token_hash: [u8; 32],
}

/// A mail that the caller is to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Which.
    pub id: MailId,
    /// Whose account it is about.
    pub user_id: UserId,
    /// What for.
    pub kind: MailKind,
    /// Where to.
    pub recipient: String,
    /// How the user is addressed: what they wrote themselves, so nothing to be trusted.
    pub name: String,
    /// What happened.
    pub created_at: DateTime<Utc>,
    /// Which attempt this is; 1 is the first.
    pub attempt: i16,
    /// Is it still worth sending? False when it has become too late, or when its token would be good for nothing: the
    /// account is disabled, has another address or password by now, is verified already, or a newer mail takes its place.
    pub wanted: bool,
}

/// Mails that are owed and due, the longest due first.
pub async fn owed(conn: &mut PgConnection, limit: i64, now: Now) -> Result<Vec<MailId>> {
    let ids = sqlx::query_scalar!(
        "select id from mails where state = 'owed' and due_at <= coalesce($1::timestamptz, statement_timestamp())
         order by due_at limit $2",
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(MailId).collect())
}

/// How many mails are owed in all, up to `cap`.
pub async fn count_owed(conn: &mut PgConnection, cap: i64) -> Result<i64> {
    let sql =
        sqlx::query_scalar!(r#"select count(*) as "n!" from (select from mails where state = 'owed' limit $1) m"#, cap);
    Ok(sql.fetch_one(conn).await?)
}

/// Takes those of `letters` that nobody else has, and makes the token of each the user's only good one of its purpose.
/// The first attempt may be made at once, later ones when they are due.
pub async fn claim(conn: &mut PgConnection, letters: &[Letter], now: Now) -> Result<Vec<Claimed>> {
    let ids: Vec<Uuid> = letters.iter().map(|letter| letter.id.0).collect();
    let hashes: Vec<Vec<u8>> = letters.iter().map(|letter| letter.token_hash.to_vec()).collect();
    let life = |kind: MailKind| kind.token_life().unwrap_or_default().as_seconds_f64();
    let rows = sqlx::query!(
        r#"
        with at as (
            select coalesce($3::timestamptz, statement_timestamp()) as now
        ), letters as (
            select * from unnest($1::uuid[], $2::bytea[]) as l (id, hash)
        ), picked as (
            select m.id from mails m, at
            where m.id = any ($1) and m.state = 'owed' and (m.attempts = 0 or m.due_at <= at.now)
            for update of m skip locked
        ), claimed as (
            update mails m set attempts = m.attempts + 1, due_at = at.now + make_interval(secs => $4)
            from picked, at where m.id = picked.id
            returning m.*
        ), issued as (
            insert into mail_tokens (user_id, purpose, hash, address, password_changed_at, expires_at)
            select distinct on (c.user_id, c.kind) c.user_id, c.kind, l.hash, c.recipient, u.password_changed_at,
                   at.now + make_interval(secs => case c.kind when 'verify_email' then $5::float8 else $6::float8 end)
            from claimed c join letters l using (id) join users u on u.id = c.user_id, at
            where c.kind in ('verify_email', 'reset_password') and at.now < c.until and u.status = 'active'
              and lower(u.email) = lower(c.recipient)
              and case c.kind when 'verify_email' then not u.email_verified
                              else u.password_changed_at <= c.created_at end
              and not exists (
                  select from mails n where n.user_id = c.user_id and n.kind = c.kind and n.created_at > c.created_at)
            order by c.user_id, c.kind, c.id
            on conflict (user_id, purpose) do update set
                hash = excluded.hash, address = excluded.address,
                password_changed_at = excluded.password_changed_at, expires_at = excluded.expires_at
            returning user_id, purpose, hash
        )
        select c.id as "id!", c.user_id as "user_id!", c.kind as "kind!", c.recipient as "recipient!", c.name as "name!",
               c.created_at as "created_at!", c.attempts as "attempt!",
               (at.now < c.until
                and (c.kind not in ('verify_email', 'reset_password')
                     or exists (select from issued i where i.user_id = c.user_id and i.purpose = c.kind
                                and i.hash = l.hash))) as "wanted!"
        from claimed c join letters l using (id), at order by id
        "#,
        &ids,
        &hashes,
        now,
        CLAIM.as_seconds_f64(),
        life(MailKind::VerifyEmail),
        life(MailKind::ResetPassword),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Claimed {
                id: MailId(row.id),
                user_id: UserId(row.user_id),
                kind: parse(&row.kind)?,
                recipient: row.recipient,
                name: row.name,
                created_at: row.created_at,
                attempt: row.attempt,
                wanted: row.wanted,
            })
        })
        .collect()
}

/// What became of a claimed mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// SES took it, under this id.
    Sent(MailId, String),
    /// It was not taken, and may be later: try again after so long.
    Again(MailId, String, Duration),
    /// It will not be sent.
    GivenUp(MailId, String),
}

/// Notes what became of claimed mails. One that was noted already stays as it is.
pub async fn settle(conn: &mut PgConnection, outcomes: &[Settled], now: Now) -> Result<()> {
    let (mut ids, mut messages, mut errors, mut delays) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for outcome in outcomes {
        let (id, message, error, delay) = match outcome {
            Settled::Sent(id, message) => (id, Some(message.clone()), None, None),
            Settled::Again(id, why, delay) => (id, None, Some(why.clone()), Some(delay.as_seconds_f64())),
            Settled::GivenUp(id, why) => (id, None, Some(why.clone()), None),
        };
        ids.push(id.0);
        messages.push(message);
        errors.push(error);
        delays.push(delay);
    }
    sqlx::query!(
        "update mails m set
             state = case when o.message_id is not null then 'sent' when o.delay is not null then 'owed'
                          else 'given_up' end,
             ended_at = case when o.delay is null then at.now end,
             due_at = case when o.delay is null then m.due_at else at.now + make_interval(secs => o.delay) end,
             message_id = o.message_id,
             error = left(o.error, 500)
         from unnest($1::uuid[], $2::text[], $3::text[], $4::float8[]) as o (id, message_id, error, delay),
              (select coalesce($5::timestamptz, statement_timestamp()) as now) at
         where m.id = o.id and m.state = 'owed'",
        &ids,
        &messages as &[Option<String>],
        &errors as &[Option<String>],
        &delays as &[Option<f64>],
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes up to `limit` mails that ended `kept` ago, and with them what else is of no use any more: tokens that have
/// expired, and limits that limit nobody. Answers how many mails went.
pub async fn sweep(conn: &mut PgConnection, kept: Duration, limit: i64, now: Now) -> Result<u64> {
    let gone = sqlx::query_scalar!(
        r#"
        with at as (
            select coalesce($3::timestamptz, statement_timestamp()) as now
        ), old as (
            -- Not by a join, here and below: the index would be gone through, past what is old.
            delete from mails where id = any (array(
                select id from mails
                where state <> 'owed'
                  and ended_at < coalesce($3::timestamptz, statement_timestamp()) - make_interval(secs => $1)
                order by ended_at limit $2))
            returning 1
        ), expired as (
            delete from mail_tokens t using at where t.expires_at < at.now - interval '1 hour'
        ), idle as (
            delete from mail_limits where key = any (array(
                select key from mail_limits
                where asked_at < coalesce($3::timestamptz, statement_timestamp()) - interval '1 hour'
                order by asked_at limit $2))
        )
        select count(*) as "n!" from old
        "#,
        kept.as_seconds_f64(),
        limit,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(gone.unsigned_abs())
}
