//! What must hold of webhooks after every step, from the rows and from what arrived.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use halyard_domain::DeliveryId;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    receiver::Received,
    stage::{HostId, Kind, Waiting},
};

/// A row of `webhook_deliveries`.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
struct Row {
    id: Uuid,
    state: String,
    fence: i64,
    attempts: i16,
    ended_at: Option<DateTime<Utc>>,
}

const ROWS: &str = "select id, state, fence, attempts, ended_at from webhook_deliveries order by id";

/// How long a post may take, as users are told; the notifier's own number is not asked.
const LIMIT: Duration = Duration::seconds(15);

/// What was seen so far.
pub struct Deliveries {
    conn: PgConnection,
    rows: BTreeMap<Uuid, Row>,
    /// Under which fencing number, and since when, an environment is about to post it.
    held: BTreeMap<(HostId, DeliveryId), (i64, DateTime<Utc>)>,
}

impl Deliveries {
    /// Nothing seen.
    pub async fn new(url: &str) -> Self {
        let conn = PgConnection::connect(url).await.expect("a connection");
        Self { conn, rows: BTreeMap::new(), held: BTreeMap::new() }
    }

    /// Looks at everything: what arrived so far, and what is about to be posted.
    pub async fn check(
        &mut self,
        received: &BTreeMap<DeliveryId, Received>,
        waiting: &[Waiting],
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        let rows: Vec<Row> = sqlx::query_as(ROWS).fetch_all(&mut self.conn).await.expect("the deliveries");
        let rows: BTreeMap<Uuid, Row> = rows.into_iter().map(|row| (row.id, row)).collect();
        for (id, before) in &self.rows {
            let Some(row) = rows.get(id) else { return Err(format!("a delivery is gone: {before:?}")) };
            if row.fence < before.fence || row.attempts < before.attempts {
                return Err(format!("a delivery goes back: {before:?} became {row:?}"));
            }
            if before.ended_at.is_some() && (&row.state, row.ended_at) != (&before.state, before.ended_at) {
                return Err(format!("a delivery that has ended changes: {before:?} became {row:?}"));
            }
        }
        for row in rows.values() {
            let taken = received.get(&DeliveryId(row.id)).map_or(0, |received| received.taken);
            if row.state == "delivered" && taken == 0 {
                return Err(format!("nobody took what is said to be delivered: {row:?}"));
            }
        }
        for (id, received) in received {
            let Some(row) = rows.get(&id.0) else { return Err(format!("{id} was posted and is nowhere owed")) };
            let posts = i16::try_from(received.bodies.len()).unwrap_or(i16::MAX);
            if posts > row.attempts {
                return Err(format!("posted {posts} times: {row:?}"));
            }
            if received.limits.iter().any(|limit| LIMIT.to_std() != Ok(*limit)) {
                return Err(format!("a post of {id} was to wait {:?} for its answer", received.limits));
            }
            if received.bodies.iter().any(|body| *body != received.bodies[0]) {
                return Err(format!("two posts of {id} say different things: {:?}", received.bodies));
            }
        }
        self.rows = rows;
        self.check_leases(waiting, now)
    }

    /// While its time lasts nobody else gets what an environment is about to post.
    fn check_leases(&mut self, waiting: &[Waiting], now: DateTime<Utc>) -> Result<(), String> {
        let post = |call: &Waiting| match call.kind {
            Kind::Post(id) => Some((call.host, id)),
            _ => None,
        };
        let posts: Vec<(HostId, DeliveryId)> = waiting.iter().filter_map(post).collect();
        self.held.retain(|post, _| posts.contains(post));
        for post in posts {
            let Some(row) = self.rows.get(&post.1.0) else { return Err(format!("{} is nowhere owed", post.1)) };
            let (fence, since) = *self.held.entry(post).or_insert((row.fence, now));
            if now < since + LIMIT && row.fence != fence {
                return Err(format!("two are about to post one delivery: {row:?}"));
            }
        }
        Ok(())
    }
}
