//! What was done by whom. Rows are only ever added, and the database chains them: whoever inserts gives neither a number nor
//! a hash.

use chrono::{DateTime, Utc};
use halyard_domain::{
    UserId,
    audit::{self, Link},
};
use sqlx::PgConnection;

use crate::{Now, Result};

/// Something worth keeping.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Who did it; `None`: the platform itself.
    pub actor: Option<UserId>,
    /// What: `area.verb`, as in `user.disable`.
    pub action: &'a str,
    /// To what: `kind:id`, as in `user:7`.
    pub target: &'a str,
    /// The details, an object. Never a secret.
    pub detail: serde_json::Value,
    /// The request that asked for it.
    pub request_id: Option<&'a str>,
}

/// Adds an entry; belongs in the transaction that does the thing (a statement that does it calls `keep_audit` itself). Entries
/// are written one after the other: whoever adds one waits for the transaction that added the last one.
pub async fn append(conn: &mut PgConnection, entry: &Entry<'_>, now: Now) -> Result<()> {
    sqlx::query_scalar!(
        "select keep_audit(coalesce($1::timestamptz, statement_timestamp()), $2, $3, $4, $5, $6)",
        now,
        entry.actor.map(|a| a.0),
        entry.action,
        entry.target,
        entry.detail,
        entry.request_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// An entry as it was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its number: later ones are greater.
    pub id: i64,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// Who did it; `None`: the platform itself.
    pub actor: Option<UserId>,
    /// The name of the actor, as it is today.
    pub actor_name: Option<String>,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
    /// The details.
    pub detail: serde_json::Value,
    /// The request that asked for it.
    pub request_id: Option<String>,
    /// Covers all of it and the entry before.
    pub hash: Vec<u8>,
}

/// Which entries are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// By this user.
    pub actor: Option<UserId>,
    /// Of this action.
    pub action: Option<String>,
    /// To this target.
    pub target: Option<String>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
}

/// Entries before the number `before`, newest first. Where there is no other filter, one by time costs what a walk over the
/// later entries costs.
pub async fn list(conn: &mut PgConnection, filter: &Filter, before: Option<i64>, limit: i64) -> Result<Vec<Kept>> {
    // One generic plan, so one branch for each index; of the four one is open. `between` instead of `=` keeps the column in the
    // order that is asked for, which no other index has: else the planner would walk the primary key.
    let rows = sqlx::query!(
        r#"
        with found as (
            (select * from audit_log
             where $2::bigint is not null and actor_id between $2 and $2 and id < $1
               and ($3::text is null or action = $3) and ($4::text is null or target = $4)
               and ($5::timestamptz is null or at >= $5) and ($6::timestamptz is null or at < $6)
             order by actor_id, id desc limit $7)
            union all
            (select * from audit_log
             where $2::bigint is null and $4::text is not null and target between $4 and $4 and id < $1
               and ($3::text is null or action = $3)
               and ($5::timestamptz is null or at >= $5) and ($6::timestamptz is null or at < $6)
             order by target, id desc limit $7)
            union all
            (select * from audit_log
             where $2::bigint is null and $4::text is null and $3::text is not null and action between $3 and $3 and id < $1
               and ($5::timestamptz is null or at >= $5) and ($6::timestamptz is null or at < $6)
             order by action, id desc limit $7)
            union all
            (select * from audit_log
             where $2::bigint is null and $4::text is null and $3::text is null and id < $1
               and ($5::timestamptz is null or at >= $5) and ($6::timestamptz is null or at < $6)
             order by id desc limit $7)
        )
        select a.id as "id!", a.at as "at!", a.actor_id, u.username as "username?", a.action as "action!",
               a.target as "target!", a.detail as "detail!", a.request_id, a.hash as "hash!"
        from found a left join users u on u.id = a.actor_id
        order by a.id desc
        "#,
        before.unwrap_or(i64::MAX),
        filter.actor.map(|a| a.0),
        filter.action,
        filter.target,
        filter.since,
        filter.until,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let kept = rows.into_iter().map(|row| Kept {
        id: row.id,
        at: row.at,
        actor: row.actor_id.map(UserId),
        actor_name: row.username,
        action: row.action,
        target: row.target,
        detail: row.detail,
        request_id: row.request_id,
        hash: row.hash,
    });
    Ok(kept.collect())
}

/// Where the chain ends; `None` when somebody has taken that away.
pub async fn head(conn: &mut PgConnection) -> Result<Option<Link>> {
    let row = sqlx::query!("select id, hash from audit_head").fetch_optional(conn).await?;
    Ok(row.map(|row| Link { id: row.id, hash: row.hash }))
}

/// Entries from the number `from` on, that one included, in the order of their numbers, and the chain's head at the same
/// moment: what [`audit::verify`] needs.
pub async fn chain(conn: &mut PgConnection, from: i64, limit: i64) -> Result<(Vec<audit::Entry>, Option<Link>)> {
    let rows = sqlx::query!(
        r#"
        select h.id as "head_id?", h.hash as "head_hash?", a.id as "id?", a.at as "at?", a.actor_id as "actor_id?",
               a.action as "action?", a.target as "target?", a.detail::text as "detail?",
               a.request_id as "request_id?", a.hash as "hash?"
        from (select 1) one
        left join audit_head h on true
        left join lateral (select * from audit_log l where l.id >= $1 order by l.id limit $2) a on true
        order by a.id
        "#,
        from,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let first = rows.first().and_then(|row| Some(Link { id: row.head_id?, hash: row.head_hash.clone()? }));
    let entries = rows.into_iter().filter_map(|row| {
        Some(audit::Entry {
            id: row.id?,
            at: row.at?,
            actor_id: row.actor_id,
            action: row.action?,
            target: row.target?,
            detail: row.detail?,
            request_id: row.request_id,
            hash: row.hash?,
        })
    });
    Ok((entries.collect(), first))
}
