//! The posts that are under way, and which of them are slow.
//!
//! A slow one gives its place to another, so an endpoint that answers late delays the others by [`SLOW`], however much is due for
//! it. [`MOST`] bounds sockets and memory; for one endpoint not to take all of that, it gets no more once [`BUSY`] of its posts are
//! slow, until some have ended. It never has as many as `BUSY + SIDE_BY_SIDE`: only several such endpoints at once make others wait
//! for the end of a post ([`post::LIMIT`]). One that answers sooner has all the room there is, whatever its fan-out.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use halyard_domain::{DeliveryId, UserId};
use halyard_store::webhooks::{Claimed, Settled};
use tokio::time::Instant;

use crate::{handler::Notifier, keys::Signing, post};

/// Posts side by side that are not slow.
const SIDE_BY_SIDE: usize = 64;
/// A post is slow once it has been under way for so long: longer than it takes an endpoint that only notes what it hears, and
/// longer than this machine holds up its own posts when it is short of processors.
pub const SLOW: Duration = Duration::from_secs(2);
/// Posts side by side, whatever they are.
const MOST: usize = 256;
/// Slow posts with which an endpoint is busy.
const BUSY: usize = 32;

struct Post {
    since: Instant,
    /// User and URL.
    endpoint: (UserId, String),
}

impl Post {
    fn is_slow(&self, now: Instant) -> bool {
        now >= self.since + SLOW
    }
}

/// What is posted at this moment.
#[derive(Default)]
pub struct Posts<'a> {
    sending: FuturesUnordered<BoxFuture<'a, Settled>>,
    /// By delivery and fence.
    begun: HashMap<(DeliveryId, i64), Post>,
}

impl<'a> Posts<'a> {
    pub fn begin(&mut self, notifier: &'a Notifier, claimed: Vec<(Claimed, Signing)>) {
        let since = Instant::now();
        for (delivery, signing) in claimed {
            let endpoint = (delivery.user_id, delivery.url.clone());
            self.begun.insert((delivery.id, delivery.fence), Post { since, endpoint });
            self.sending.push(async move { post::attempt(notifier, &delivery, &signing).await }.boxed());
        }
    }

    /// The end of one of them; none when there are none.
    pub async fn ended(&mut self) -> Option<Settled> {
        let end = self.sending.next().await?;
        self.begun.remove(&(end.id, end.fence));
        Some(end)
    }

    pub fn is_empty(&self) -> bool {
        self.sending.is_empty()
    }

    /// How many may be begun besides, while so many outcomes wait to be noted. Few are not worth a statement: none then.
    pub fn room(&self, ends: usize, now: Instant) -> Option<usize> {
        let quick = self.begun.values().filter(|post| !post.is_slow(now)).count();
        let room = SIDE_BY_SIDE.saturating_sub(quick + ends).min(MOST.saturating_sub(self.sending.len() + ends));
        (room >= SIDE_BY_SIDE / 2).then_some(room)
    }

    /// When the next of them becomes slow.
    pub fn next_slow(&self, now: Instant) -> Option<Instant> {
        self.begun.values().filter(|post| !post.is_slow(now)).map(|post| post.since + SLOW).min()
    }

    /// The endpoints that are busy.
    pub fn busy(&self, now: Instant) -> Vec<(UserId, String)> {
        let mut slow = BTreeMap::<_, usize>::new();
        for post in self.begun.values().filter(|post| post.is_slow(now)) {
            *slow.entry(&post.endpoint).or_default() += 1;
        }
        slow.into_iter().filter(|(_, count)| *count >= BUSY).map(|(endpoint, _)| endpoint.clone()).collect()
    }
}
