//! Hosts of execution environments.

use chrono::{DateTime, Utc};
use halyard_domain::NodeId;
use sqlx::PgConnection;

use crate::{Now, Result};

/// A node counts as active when it was seen within this time.
pub const ACTIVE: chrono::Duration = chrono::Duration::seconds(60);
/// A node that was not seen for this long is forgotten.
pub const FORGET: chrono::Duration = chrono::Duration::hours(1);

/// What a node says of itself. What cannot be known there is `None`.
#[derive(Debug, Clone)]
pub struct NodeSeen {
    /// Which.
    pub node_id: NodeId,
    /// The host's name.
    pub hostname: String,
    /// What runs there: `api`, `worker`, `beat`.
    pub role: String,
    /// The host's address.
    pub ip_address: Option<String>,
    /// The port it serves.
    pub port: Option<i32>,
    /// Mean response time lately, in milliseconds.
    pub response_time_ms: Option<f64>,
    /// Per cent.
    pub cpu_usage: Option<f64>,
    /// Per cent.
    pub memory_usage: Option<f64>,
    /// Lately.
    pub requests_per_minute: Option<f64>,
    /// Share of server faults lately, 0 to 1.
    pub error_rate: Option<f64>,
    /// Tasks that it runs side by side; `None` where it runs none.
    pub capacity: Option<i32>,
    /// Tasks that ended there since the last heartbeat; added up.
    pub processed: i64,
}

/// A node as it was last seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Which.
    pub node_id: NodeId,
    /// The host's name.
    pub hostname: String,
    /// What runs there.
    pub role: String,
    /// The host's address.
    pub ip_address: Option<String>,
    /// The port it serves.
    pub port: Option<i32>,
    /// First heartbeat.
    pub first_seen: DateTime<Utc>,
    /// Latest heartbeat.
    pub last_seen: DateTime<Utc>,
    /// Seen within [`ACTIVE`], by the database's clock.
    pub active: bool,
    /// Mean response time, in milliseconds.
    pub response_time_ms: Option<f64>,
    /// Per cent.
    pub cpu_usage: Option<f64>,
    /// Per cent.
    pub memory_usage: Option<f64>,
    /// At the latest heartbeat.
    pub requests_per_minute: Option<f64>,
    /// Share of server faults, 0 to 1.
    pub error_rate: Option<f64>,
    /// Tasks that it runs side by side.
    pub capacity: Option<i32>,
    /// Tasks that ended there so far.
    pub processed: i64,
}

/// Notes that a node lives. The caller does so on the request path, at most every ten seconds.
pub async fn heartbeat(conn: &mut PgConnection, seen: &NodeSeen, now: Now) -> Result<()> {
    sqlx::query!(
        "insert into nodes as n (node_id, hostname, role, ip_address, port, response_time_ms, cpu_usage, memory_usage,
                                 requests_per_minute, error_rate, capacity, processed, first_seen, last_seen)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, c.now, c.now
         from (select coalesce($13::timestamptz, statement_timestamp()) as now) c
         on conflict (node_id) do update set
             hostname = excluded.hostname, role = excluded.role, ip_address = excluded.ip_address, port = excluded.port,
             response_time_ms = excluded.response_time_ms, cpu_usage = excluded.cpu_usage,
             memory_usage = excluded.memory_usage, requests_per_minute = excluded.requests_per_minute,
             error_rate = excluded.error_rate, capacity = excluded.capacity,
             processed = n.processed + excluded.processed, last_seen = greatest(n.last_seen, excluded.last_seen)",
        seen.node_id.0,
        seen.hostname,
        seen.role,
        seen.ip_address,
        seen.port,
        seen.response_time_ms,
        seen.cpu_usage,
        seen.memory_usage,
        seen.requests_per_minute,
        seen.error_rate,
        seen.capacity,
        seen.processed,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// All nodes that are not forgotten, by id.
pub async fn list(conn: &mut PgConnection, now: Now) -> Result<Vec<Node>> {
    let rows = sqlx::query!(
        r#"
        select *, last_seen > coalesce($1::timestamptz, statement_timestamp()) - make_interval(secs => $2) as "active!"
        from nodes order by node_id
        "#,
        now,
        ACTIVE.as_seconds_f64(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Node {
            node_id: NodeId(row.node_id),
            hostname: row.hostname,
            role: row.role,
            ip_address: row.ip_address,
            port: row.port,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            active: row.active,
            response_time_ms: row.response_time_ms,
            cpu_usage: row.cpu_usage,
            memory_usage: row.memory_usage,
            requests_per_minute: row.requests_per_minute,
            error_rate: row.error_rate,
            capacity: row.capacity,
            processed: row.processed,
        })
        .collect())
}

/// Forgets nodes that were not seen for [`FORGET`]; answers how many.
pub async fn sweep(conn: &mut PgConnection, now: Now) -> Result<u64> {
    let done = sqlx::query!(
        "delete from nodes where last_seen < coalesce($1::timestamptz, statement_timestamp()) - make_interval(secs => $2)",
        now,
        FORGET.as_seconds_f64(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
