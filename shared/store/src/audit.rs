//! What was done by whom. Rows are only ever added.

use halyard_domain::UserId;
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

/// Adds an entry. A statement that does the thing calls `keep_audit` itself.
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
