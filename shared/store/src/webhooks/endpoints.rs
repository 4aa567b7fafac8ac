//! What is known of a user's URLs.

use chrono::{DateTime, Duration, Utc};
use halyard_domain::UserId;
use sqlx::PgConnection;

use crate::{Now, Result};

/// A URL that webhooks of a user went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whose: a user's number.
    pub user_id: i64,
    /// Where.
    pub url: String,
    /// Since when nothing has succeeded there.
    pub failing_since: Option<DateTime<Utc>>,
    /// Failures since the last success.
    pub failures: i32,
    /// The latest success, to a minute.
    pub last_success_at: Option<DateTime<Utc>>,
    /// The latest failure.
    pub last_failure_at: Option<DateTime<Utc>>,
    /// Since when nothing is sent there.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Why: `gone` or `failing`.
    pub disabled_reason: Option<String>,
}

/// The URLs of `owner`, or of everybody, by user and URL, after `after`.
pub async fn endpoints(
    conn: &mut PgConnection,
    owner: Option<UserId>,
    after: Option<(UserId, String)>,
    limit: i64,
) -> Result<Vec<Endpoint>> {
    let (after_user, after_url) = after.map_or((None, None), |(user, url)| (Some(user.0), Some(url)));
    let rows = sqlx::query_as!(
        Endpoint,
        r#"select user_id, url, failing_since, failures, last_success_at, last_failure_at,
                  disabled_at, disabled_reason
           from webhook_endpoints
           where ($1::bigint is null or user_id = $1)
             and ($2::bigint is null or (user_id, url_hash) > ($2, sha256(convert_to($3, 'UTF8'))))
           order by user_id, url_hash limit $4"#,
        owner.map(|o| o.0),
        after_user,
        after_url,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Lets webhooks go to a URL of `user` again, with a clean slate. `false` when nothing is known of it.
pub async fn enable(conn: &mut PgConnection, user: UserId, url: &str) -> Result<bool> {
    let done = sqlx::query!(
        "update webhook_endpoints set disabled_at = null, disabled_reason = null, failing_since = null, failures = 0
         where user_id = $1 and url_hash = sha256(convert_to($2, 'UTF8'))",
        user.0,
        url,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets up to `limit` URLs of which nothing was heard for `kept`, those first that have been silent the longest: a URL with
/// an id in it is made for one task. One that is disabled is kept, for to forget it would be to enable it. `kept` is longer than
/// a delivery is tried: what is known of a URL is not lost while something is owed to it. Answers how many went.
pub async fn forget_endpoints(conn: &mut PgConnection, kept: Duration, limit: i64, now: Now) -> Result<u64> {
    let done = sqlx::query!(
        "delete from webhook_endpoints where ctid = any (array(
             select ctid from webhook_endpoints
             where disabled_at is null
               and greatest(created_at, last_success_at, last_failure_at)
                   < coalesce($3::timestamptz, statement_timestamp()) - make_interval(secs => $1)
             -- One that somebody writes to at this moment is not silent.
             order by greatest(created_at, last_success_at, last_failure_at) limit $2 for update skip locked))",
        kept.as_seconds_f64(),
        limit,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
