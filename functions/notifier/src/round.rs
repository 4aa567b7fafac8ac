//! One invocation: deliveries are claimed, posted side by side and settled until nothing is due.
//!
//! At most one statement is under way at a time; the posts run on meanwhile, and outcomes that come while a statement is under
//! way go together into the next one. So one endpoint that is slow holds up neither the others (see `posts`) nor their outcomes.

use std::{collections::BTreeSet, time::Duration};

use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use halyard_domain::{DeliveryId, UserId};
use halyard_store::{
    StoreError,
    webhooks::{self, Claimed, Outcome, Settled},
    within,
};
use tokio::time::{Instant, sleep_until};

use crate::{
    handler::Notifier,
    keys, post,
    posts::{Posts, SLOW},
};

/// No delivery is claimed any more when so much of the invocation's time is left: an attempt and its commit.
const RESERVE: Duration = Duration::from_secs(post::LIMIT.as_secs() + 7);
/// The longest that one call of the database may take before it counts as unavailable.
const DATABASE: Duration = Duration::from_secs(5);
/// How long the queue may take; beat repairs what it does not take in time.
const QUEUE: Duration = Duration::from_secs(1);
/// Commits of the same outcomes that are tried.
const COMMITS: u32 = 4;
/// The first pause between them; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Attempts begun.
    pub claimed: usize,
    /// Attempts whose outcome was committed.
    pub settled: usize,
    /// Attempts whose outcome was not; they are made again, under the same ids.
    pub abandoned: usize,
}

enum Done {
    /// What is to be posted, and whether more may be due.
    Claimed(Result<(Vec<(Claimed, keys::Signing)>, bool), StoreError>),
    Settled(Vec<Settled>, Result<Vec<DeliveryId>, StoreError>),
}

pub struct Round<'a> {
    notifier: &'a Notifier,
    deadline: Instant,
    posts: Posts<'a>,
    ends: Vec<Settled>,
    rings: FuturesUnordered<BoxFuture<'a, ()>>,
    /// Nothing more is claimed: there is no time left for it, or the database failed.
    closed: bool,
    /// Nothing more was due; it is not looked for before.
    look_after: Instant,
    /// Deliveries of busy endpoints may have been put off.
    held_back: bool,
    failed_commits: u32,
    settle_after: Instant,
    counts: Counts,
}

impl<'a> Round<'a> {
    pub fn new(notifier: &'a Notifier, deadline: Instant) -> Self {
        Self {
            notifier,
            deadline,
            posts: Posts::default(),
            ends: Vec::new(),
            rings: FuturesUnordered::new(),
            closed: false,
            look_after: Instant::now(),
            held_back: false,
            failed_commits: 0,
            settle_after: Instant::now(),
            counts: Counts::default(),
        }
    }

    /// # Errors
    /// When nothing could be claimed, because the database failed. Later failures leave deliveries to their leases.
    pub async fn run(mut self) -> Result<Counts, StoreError> {
        let mut statement: OptionFuture<BoxFuture<'a, Done>> = None.into();
        let mut asking = false;
        loop {
            let now = Instant::now();
            if !asking {
                let next = self.next_statement(now);
                asking = next.is_some();
                statement = next.into();
            }
            if !asking && self.posts.is_empty() && self.ends.is_empty() {
                break;
            }
            let look = self.next_look(now).filter(|_| !asking);
            tokio::select! {
                // Of what is ready at once always the same comes first, so that a simulated run can be replayed.
                biased;
                Some(done) = &mut statement, if asking => {
                    asking = false;
                    self.digest(done)?;
                }
                Some(end) = self.posts.ended(), if !self.posts.is_empty() => {
                    self.ends.push(end);
                    while let Some(Some(end)) = self.posts.ended().now_or_never() {
                        self.ends.push(end);
                    }
                }
                Some(()) = self.rings.next(), if !self.rings.is_empty() => {}
                () = sleep_until(self.settle_after), if !asking && !self.ends.is_empty() => {}
                () = sleep_until(look.unwrap_or(now)), if look.is_some() => {}
            }
        }
        if self.held_back {
            // Whoever hears it finds them due. Until then the endpoint has answered what it was sent, or failed.
            self.ring_after(webhooks::PUT_OFF.to_std().unwrap_or_default());
        }
        while self.rings.next().await.is_some() {}
        Ok(self.counts)
    }

    fn next_statement(&mut self, now: Instant) -> Option<BoxFuture<'a, Done>> {
        if !self.ends.is_empty() && now >= self.settle_after {
            let ends = std::mem::take(&mut self.ends);
            return Some(self.settle(ends));
        }
        if self.closed || now < self.look_after {
            return None;
        }
        let room = self.posts.room(self.ends.len(), now)?;
        if now + RESERVE > self.deadline {
            self.closed = true;
            // Somebody else goes on.
            self.ring_after(Duration::ZERO);
            return None;
        }
        let busy = self.posts.busy(now);
        self.held_back |= !busy.is_empty();
        Some(self.claim(room, busy))
    }

    /// When to look again for what is due, while posts are under way. What becomes slow makes room, each post once, so the loop does
    /// not spin; and what becomes due meanwhile does not wait for the end of a slow one, for all notifiers may have one.
    fn next_look(&self, now: Instant) -> Option<Instant> {
        if self.closed {
            return None;
        }
        if now < self.look_after { Some(self.look_after) } else { self.posts.next_slow(now) }
    }

    fn ring_after(&self, delay: Duration) {
        let notifier = self.notifier;
        self.rings.push(async move { notifier.bell.ring_or_leave(delay, QUEUE).await }.boxed());
    }

    fn claim(&self, wanted: usize, busy: Vec<(UserId, String)>) -> BoxFuture<'a, Done> {
        let notifier = self.notifier;
        let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
        async move {
            let claimed = within(DATABASE, async {
                let now = notifier.clock.database_override();
                let mut conn = notifier.pool.acquire().await?;
                let portion = webhooks::claim(&mut conn, limit, &busy, now).await?;
                let signed = keys::of_each(notifier, &mut conn, portion.deliveries, now).await?;
                Ok::<_, StoreError>((signed, portion.more))
            });
            Done::Claimed(claimed.await)
        }
        .boxed()
    }

    fn settle(&self, ends: Vec<Settled>) -> BoxFuture<'a, Done> {
        let notifier = self.notifier;
        async move {
            let answer = within(DATABASE, async {
                let mut conn = notifier.pool.acquire().await?;
                webhooks::settle(&mut conn, &ends, notifier.clock.database_override()).await
            })
            .await;
            Done::Settled(ends, answer)
        }
        .boxed()
    }

    fn digest(&mut self, done: Done) -> Result<(), StoreError> {
        match done {
            Done::Claimed(Ok((claimed, more))) => {
                // Few may be claimed although more are due: those looked at were of endpoints that fail, are disabled or busy.
                if !more {
                    self.look_after = Instant::now() + SLOW;
                }
                self.counts.claimed += claimed.len();
                self.posts.begin(self.notifier, claimed);
            }
            Done::Claimed(Err(error)) if self.counts.claimed == 0 => return Err(error),
            Done::Claimed(Err(error)) => {
                tracing::warn!(%error, "no more deliveries could be claimed; beat will ring");
                self.closed = true;
            }
            Done::Settled(ends, Ok(again)) => {
                self.failed_commits = 0;
                self.counts.settled += ends.len();
                self.ring_for(&ends, &again);
            }
            Done::Settled(ends, Err(error)) => self.not_settled(ends, &error),
        }
        Ok(())
    }

    /// Rings for what is to be tried again soon enough for a delayed message, once for each second: one doorbell is enough
    /// for all that is due then. Beat rings for the rest.
    fn ring_for(&mut self, ends: &[Settled], again: &[DeliveryId]) {
        let mut seconds = BTreeSet::new();
        for end in ends.iter().filter(|end| again.contains(&end.id)) {
            if let Outcome::Again(delay) = end.outcome
                && delay <= halyard_domain::task::MAX_SEND_DELAY
            {
                seconds.insert(delay.num_milliseconds().max(0).unsigned_abs().div_ceil(1_000));
            }
        }
        if seconds.is_empty() {
            return;
        }
        let delays: Vec<Duration> = seconds.into_iter().map(Duration::from_secs).collect();
        let bell = &self.notifier.bell;
        let ring = async move {
            if let Err(error) = bell.ring(&delays, QUEUE).await {
                tracing::warn!(%error, "doorbells of retries were not taken; beat will ring");
            }
        };
        self.rings.push(ring.boxed());
    }

    fn not_settled(&mut self, mut ends: Vec<Settled>, error: &StoreError) {
        self.failed_commits += 1;
        if error.is_unavailable() && self.failed_commits < COMMITS && Instant::now() < self.deadline {
            tracing::warn!(%error, count = ends.len(), "outcomes of webhooks could not be committed yet");
            self.settle_after = Instant::now() + PAUSE * 2_u32.pow(self.failed_commits - 1);
            ends.append(&mut self.ends);
            self.ends = ends;
            return;
        }
        tracing::error!(%error, count = ends.len(), "outcomes of webhooks could not be committed; they will be sent again");
        self.counts.abandoned += ends.len();
        self.failed_commits = 0;
        self.closed = true;
    }
}
