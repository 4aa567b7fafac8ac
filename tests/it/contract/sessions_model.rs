//! Sessions, epochs and their cache against a model: random interleavings of look-ups, fills that land late, ends whose
//! news are lost, flushes and hosts with wrong clocks, over a real Redis.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use halyard_cloud::{
    Sessions,
    redis::{Redis, SessionCache},
    sessions::Stored,
    table::{Table, TableName, TableTwin},
};
use halyard_domain::{Entropy, SessionId, UserId, session::Session};

use super::{
    cache::session,
    redis::{shared, start},
};

const USER: UserId = UserId(7);
const BOUND: i64 = 1000;
const HOSTS: u64 = 3;
const SESSIONS: u64 = 3;
const STEPS: usize = 150;

/// How a session ended.
#[derive(Debug, Clone, Copy)]
struct End {
    /// When it was confirmed by the table; none while it is owed.
    confirmed: Option<i64>,
    /// Since which flush the cache has known of it, if it does.
    heard: Option<u64>,
}

/// A look-up between its reading of the table and its fill.
#[derive(Debug)]
struct Late {
    stored: Option<Stored>,
    epoch: i64,
    read_at: DateTime<Utc>,
}

struct World {
    random: Entropy,
    seed: u64,
    /// Milliseconds since the start, by no host's clock.
    now: i64,
    clocks: [i64; 3],
    redis: Redis,
    cache: SessionCache,
    store: Sessions,
    /// The same table without a cache: what it is told, the cache does not hear.
    bare: Sessions,
    sessions: Vec<SessionId>,
    ends: Vec<Vec<End>>,
    /// The database's epoch, and the last one that the table does not know.
    epoch: i64,
    owed: Option<i64>,
    /// The flush since which a look-up has called the session ended.
    called_ended: Vec<Option<u64>>,
    flushes: u64,
    late: Vec<Late>,
}

impl World {
    async fn new(seed: u64, skew: u64) -> Self {
        let random = Entropy::seeded(seed);
        let name = TableName("sessions".to_owned());
        let table: Arc<dyn Table> = Arc::new(TableTwin::in_memory([name.clone()]).expect("a twin"));
        let redis = shared();
        let cache = SessionCache::new(redis.clone(), Duration::from_millis(BOUND.unsigned_abs()));
        let store = Sessions::new(Arc::clone(&table), name.clone(), Some(cache.clone()));
        let bare = Sessions::new(table, name, None);
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let session = session(USER, start());
            sessions.push(session.id);
            store.create(&session).await.expect("created");
        }
        let none = sessions.len();
        let mut this = Self {
            random,
            seed,
            now: 0,
            clocks: [0; 3],
            redis,
            cache,
            store,
            bare,
            sessions,
            ends: vec![Vec::new(); none],
            epoch: 0,
            owed: None,
            called_ended: vec![None; none],
            flushes: 0,
            late: Vec::new(),
        };
        for host in 0..HOSTS {
            this.clocks[index(host)] = this.below(skew + 1).cast_signed();
        }
        this
    }

    fn below(&self, n: u64) -> u64 {
        u64::from_le_bytes(self.random.bytes()) % n
    }

    /// The time by the clock of some host.
    fn a_clock(&self) -> DateTime<Utc> {
        start() + TimeDelta::milliseconds(self.now + self.clocks[index(self.below(HOSTS))])
    }

    fn skew(&self) -> i64 {
        self.clocks.iter().max().expect("hosts") - self.clocks.iter().min().expect("hosts")
    }

    async fn step(&mut self, step: usize) {
        let which = index(self.below(SESSIONS));
        match self.below(20) {
            0..=4 => self.now += self.below(700).cast_signed(),
            5..=7 => self.begin(which).await,
            8..=10 => self.land().await,
            11 => self.revoke(which).await,
            12 => self.raise().await,
            13 => self.publish().await,
            14 => self.flush().await,
            15 => self.rotate(which).await,
            _ => self.look_up(which, step).await,
        }
    }

    async fn begin(&mut self, which: usize) {
        let (read_at, id) = (self.a_clock(), self.sessions[which]);
        let floor = self.cache.get(USER, id, read_at).await.expect("an answer").epoch_floor;
        let stored = self.bare.get(USER, id, read_at).await.expect("read");
        let epoch = self.bare.epoch(USER).await.expect("read").max(floor);
        self.late.push(Late { stored, epoch, read_at });
    }

    async fn land(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let late = self.late.swap_remove(index(self.below(self.late.len() as u64)));
        let entry = late.stored.as_ref().map(|s| (&s.record, s.version));
        self.cache.fill(USER, entry, Some(late.epoch), late.read_at, late.read_at).await.expect("filled");
    }

    async fn revoke(&mut self, which: usize) {
        let (now, id, heard) = (self.a_clock(), self.sessions[which], self.below(3) > 0);
        let store = if heard { &self.store } else { &self.bare };
        store.revoke(USER, id, now).await.expect("revoked");
        self.ends[which].push(End { confirmed: Some(self.now), heard: heard.then_some(self.flushes) });
    }

    /// The database raises the epoch; the table is told, or not; the cache is told, or not.
    async fn raise(&mut self) {
        self.epoch += 1;
        let (now, epoch) = (self.a_clock(), self.epoch);
        let (confirmed, heard) = (self.below(3) > 0, self.below(3) > 0);
        match (confirmed, heard) {
            (true, true) => self.store.bump_epoch(USER, epoch, now).await.expect("raised"),
            (true, false) => self.bare.bump_epoch(USER, epoch, now).await.expect("raised"),
            (false, true) => self.cache.fill_epoch(USER, epoch, now, now).await.expect("told"),
            (false, false) => {}
        }
        self.owed = if confirmed { None } else { Some(epoch) };
        let end = End { confirmed: confirmed.then_some(self.now), heard: heard.then_some(self.flushes) };
        self.ends.iter_mut().for_each(|ends| ends.push(end));
    }

    /// Beat publishes what is owed.
    async fn publish(&mut self) {
        let (Some(epoch), now) = (self.owed.take(), self.a_clock()) else { return };
        self.store.bump_epoch(USER, epoch, now).await.expect("published");
        let end = End { confirmed: Some(self.now), heard: Some(self.flushes) };
        self.ends.iter_mut().for_each(|ends| ends.push(end));
    }

    async fn flush(&mut self) {
        let mut keys = redis::cmd("KEYS");
        keys.arg(format!("{}:*", self.redis.namespace()));
        let keys: Vec<String> = self.redis.run(&keys).await.expect("the keys");
        if !keys.is_empty() {
            self.redis.run::<i64>(redis::cmd("DEL").arg(keys)).await.expect("they are gone");
        }
        self.flushes += 1;
    }

    async fn rotate(&mut self, which: usize) {
        let now = self.a_clock();
        let Some(stored) = self.bare.get(USER, self.sessions[which], now).await.expect("read") else { return };
        if stored.record.revoked_at.is_none() {
            let counter = stored.record.refresh_counter + 1;
            let next = Session { refresh_counter: counter, ..stored.record.clone() };
            self.store.rotate(&stored, next, now).await.expect("rotated");
        }
    }

    async fn look_up(&mut self, which: usize, step: usize) {
        let now = self.a_clock();
        let found = self.store.lookup(USER, self.sessions[which], now).await.expect("looked up");
        let live = found.is_some_and(|(session, epoch)| session.is_live(now, epoch));
        let ends = &self.ends[which];
        let known = ends.iter().any(|end| {
            let bound_is_over = end.confirmed.is_some_and(|at| self.now - at >= BOUND + self.skew());
            bound_is_over || end.heard == Some(self.flushes)
        });
        let must_have_ended = known || self.called_ended[which] == Some(self.flushes);
        let place = format!("seed {}, step {step}, at {} ms: {ends:?}", self.seed, self.now);
        assert!(!(live && must_have_ended), "an ended session is live: {place}");
        assert!(live || !ends.is_empty(), "a live session has ended: {place}");
        if !live {
            self.called_ended[which] = Some(self.flushes);
        }
    }
}

fn index(n: u64) -> usize {
    usize::try_from(n).expect("small")
}

/// After an end that the table has confirmed, no look-up later than the bound (and what clocks differ by) calls the session
/// live; none at all while the cache knows of the end; and what was called ended once stays so until the cache is flushed.
#[tokio::test]
async fn an_ended_session_never_comes_back_whatever_the_order_of_events() {
    for seed in 0..40 {
        let skew = if seed % 2 == 0 { 0 } else { 3000 };
        let mut world = World::new(seed, skew).await;
        for step in 0..STEPS {
            world.step(step).await;
        }
    }
}
