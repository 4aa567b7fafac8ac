//! What must hold of webhooks after every step, from the rows and from what arrived.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use halyard_auth::{
    account_key::{AccountKey, Sealed},
    webhook::WebhookKeys,
};
use halyard_domain::{DeliveryId, UserId};
use halyard_tests::seed;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    receiver::Received,
    signatures::{Keys, verify},
    stage::{HostId, Kind, Waiting},
};

/// A row of `webhook_deliveries`.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
struct Row {
    id: Uuid,
    user_id: i64,
    state: String,
    fence: i64,
    attempts: i16,
    ended_at: Option<DateTime<Utc>>,
}

const ROWS: &str = "select id, user_id, state, fence, attempts, ended_at from webhook_deliveries order by id";

const SECRETS: &str = "select sealed from webhook_secrets where user_id = $1";

/// How long a post may take, as users are told; the notifier's own number is not asked.
const LIMIT: Duration = Duration::seconds(15);

/// What was seen so far.
pub struct Deliveries {
    conn: PgConnection,
    rows: BTreeMap<Uuid, Row>,
    /// Under which fencing number, and since when, an environment is about to post it.
    held: BTreeMap<(HostId, DeliveryId), (i64, DateTime<Utc>)>,
    /// What opens the users' secrets.
    account_key: AccountKey,
    /// How many posts of each are known to be signed.
    verified: BTreeMap<DeliveryId, usize>,
}

impl Deliveries {
    /// Nothing seen.
    pub async fn new(url: &str) -> Self {
        let conn = PgConnection::connect(url).await.expect("a connection");
        let settings = seed::variables(url, "", "");
        let text = settings.iter().find(|(name, _)| name == "ACCOUNT_KEY").map(|(_, text)| text.as_str());
        let account_key = AccountKey::new(text.unwrap_or_default()).expect("a key");
        Self { conn, rows: BTreeMap::new(), held: BTreeMap::new(), account_key, verified: BTreeMap::new() }
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
            let posts = i16::try_from(received.posts.len()).unwrap_or(i16::MAX);
            if posts > row.attempts {
                return Err(format!("posted {posts} times: {row:?}"));
            }
            if let Some(post) = received.posts.iter().find(|post| LIMIT.to_std() != Ok(post.limit)) {
                return Err(format!("a post of {id} was to wait {:?} for its answer", post.limit));
            }
            if received.posts.iter().any(|post| post.heard.body != received.posts[0].heard.body) {
                return Err(format!("two posts of {id} say different things: {:?}", received.posts));
            }
        }
        self.rows = rows;
        self.check_signatures(received).await?;
        self.check_leases(waiting, now)
    }

    /// Of what has arrived since the last look.
    async fn check_signatures(&mut self, received: &BTreeMap<DeliveryId, Received>) -> Result<(), String> {
        for (id, received) in received {
            let known = self.verified.insert(*id, received.posts.len()).unwrap_or(0);
            if known < received.posts.len() {
                let user = self.rows[&id.0].user_id;
                let keys = self.keys(user).await;
                let broken = |why: String| format!("{id}: {why}");
                received.posts[known..].iter().try_for_each(|post| verify(post, &keys)).map_err(broken)?;
            }
        }
        Ok(())
    }

    /// All that a user has, or had.
    async fn keys(&mut self, user: i64) -> Vec<Keys> {
        let sealed: Vec<Vec<u8>> =
            sqlx::query_scalar(SECRETS).bind(user).fetch_all(&mut self.conn).await.expect("the secrets");
        let open = |sealed: &Vec<u8>| {
            let bytes = self.account_key.open_as(Sealed::WebhookSecret, UserId(user), sealed)?;
            WebhookKeys::from_bytes(&bytes).map(|keys| Keys::of(&keys))
        };
        sealed.iter().filter_map(open).collect()
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
