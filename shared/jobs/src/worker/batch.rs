//! The attempts of one batch, side by side, and the statements that keep and end them.
//!
//! At most one statement is under way at a time; the attempts run on meanwhile. Ends that come while a statement is
//! under way wait and go together into the next one, so a busy worker needs fewer statements for the same work.

mod answers;

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use halyard_cloud::task_logs::{LogLevel, LogLine};
use halyard_domain::{TaskId, task::TaskState};
use halyard_store::{
    StoreError,
    tasks::{self, Claimed, Ending, Finish, FinishedRow, Renewal, Renewed},
    within,
};
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use super::{
    DATABASE, Outcome, Worker,
    attempt::{self, Ended, Limit},
    decision, owner, stored,
};
use crate::{
    context::{AttemptInfo, Handle, Stop, context},
    log,
};

/// What of the lane's margin is left for committing the ends of attempts.
const RESERVE: Duration = Duration::from_secs(2);
/// An attempt that the invocation's end interrupts sooner than this was given no time to speak of: that counts as a lease
/// lost, so that a host without time to give is given up.
const SHORTEST_SLICE: Duration = Duration::from_secs(1);
/// How long the log table may take.
const LOGS: Duration = Duration::from_secs(1);
/// The first pause before a commit is tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

struct Attempt {
    claimed: Claimed,
    handle: Arc<Handle>,
    /// Since when the attempt has known that its task is to be cancelled.
    told: Option<DateTime<Utc>>,
    began: DateTime<Utc>,
    began_at: Instant,
    running: bool,
    /// When a webhook with its progress is due that has been rung for.
    told_until: Option<Instant>,
}

enum Done {
    Renewed { asked: Vec<Renewal>, answer: Result<Vec<Renewed>, StoreError>, logged: bool },
    Finished { ends: Arc<Vec<Finish>>, answer: Result<Vec<FinishedRow>, StoreError>, logged: bool },
}

pub struct Batch<'a> {
    worker: &'a Worker,
    deadline: Instant,
    margin: Duration,
    attempts: Vec<Attempt>,
    places: HashMap<TaskId, usize>,
    running: FuturesUnordered<BoxFuture<'a, (usize, Ended)>>,
    ready: Vec<Finish>,
    /// Not before: set while the database is away.
    finish_after: Instant,
    pause: Duration,
    /// Ends go one by one after a fault that may be due to one of them.
    singly: bool,
    next_renewal: Instant,
    /// The log table failed: it is not waited for again in this batch.
    logs_down: bool,
    rings: FuturesUnordered<BoxFuture<'a, ()>>,
    outcome: Outcome,
}

impl<'a> Batch<'a> {
    pub fn new(worker: &'a Worker, claimed: Vec<Claimed>, deadline: Instant, margin: Duration) -> Self {
        let now = Instant::now();
        let mut batch = Self {
            worker,
            deadline,
            margin,
            attempts: Vec::with_capacity(claimed.len()),
            places: claimed.iter().enumerate().map(|(place, task)| (task.id, place)).collect(),
            running: FuturesUnordered::new(),
            ready: Vec::new(),
            finish_after: now,
            pause: FIRST_PAUSE,
            singly: false,
            next_renewal: now + worker.renew_every,
            logs_down: false,
            rings: FuturesUnordered::new(),
            outcome: Outcome { claimed: claimed.len(), ..Outcome::default() },
        };
        for task in claimed {
            batch.begin(task, now);
        }
        batch
    }

    fn begin(&mut self, claimed: Claimed, now: Instant) {
        let place = self.attempts.len();
        let whole = Duration::from_secs(u64::from(claimed.timeout_s.max(0).unsigned_abs()));
        let own = now + whole.saturating_sub(claimed.spent);
        let last = self.deadline.checked_sub(self.margin).unwrap_or(now);
        let until = self.deadline.checked_sub(RESERVE.min(self.margin)).unwrap_or(now);
        let limit = if own <= last {
            Limit::new(own, Stop::TimedOut)
        } else {
            Limit { at: last, why: Stop::InvocationEnds, until }
        };
        let info = AttemptInfo {
            task_id: claimed.id,
            user_id: claimed.user_id,
            attempt: claimed.attempt,
            deadline: limit.at,
            checkpoint: claimed.checkpoint.clone(),
        };
        let (context, handle) = context(info, Arc::clone(&self.worker.clock));
        let handle = Arc::new(handle);
        let prepared = decision::refuse(&claimed, &self.worker.registry);
        let requires = self.worker.registry.get(&claimed.task_type).and_then(|task| task.requires());
        let (worker, owner) = (self.worker, claimed.user_id);
        let (id, fence) = (claimed.id, claimed.fence);
        let span = tracing::info_span!(
            "attempt",
            task_id = %claimed.id,
            task_type = %claimed.task_type,
            attempt = claimed.attempt,
            request_id = claimed.request_id.as_deref(),
            trace_id = claimed.traceparent.as_deref().and_then(|header| header.split('-').nth(1)),
        );
        let code = {
            let handle = Arc::clone(&handle);
            async move {
                let prepared = match (prepared, requires) {
                    (Ok(prepared), Some(permission)) => {
                        owner::permitted(worker, owner, permission).await.map(|()| prepared)
                    }
                    (Ok(prepared), None) => Ok(prepared),
                    (Err(refusal), _) => Err(Ended::Refused(refusal)),
                };
                let ended = match prepared {
                    Err(ended) => ended,
                    Ok(prepared) => {
                        handle.log(LogLevel::Info, format!("started by worker {}", worker.id));
                        tracing::debug!("attempt started");
                        let ended = attempt::run(prepared, context, &handle, limit).await;
                        stored::apart(worker, id, fence, ended, &handle, until).await
                    }
                };
                (place, ended)
            }
        };
        self.running.push(code.instrument(span).boxed());
        self.attempts.push(Attempt {
            claimed,
            handle,
            told: None,
            began: self.worker.clock.now(),
            began_at: now,
            running: true,
            told_until: None,
        });
    }

    pub async fn run(mut self) -> Outcome {
        let mut statement: OptionFuture<BoxFuture<'a, Done>> = None.into();
        let mut busy = false;
        loop {
            if !busy {
                let next = self.next_statement();
                busy = next.is_some();
                statement = next.into();
            }
            if !busy && self.running.is_empty() && self.ready.is_empty() {
                break;
            }
            let wake = self.next_wake();
            tokio::select! {
                // Of what is ready at once always the same comes first, so that a simulated run can be replayed.
                biased;
                Some(done) = &mut statement, if busy => {
                    busy = false;
                    self.digest(done);
                }
                Some((place, ended)) = self.running.next(), if !self.running.is_empty() => {
                    self.ended(place, ended);
                    // Whatever has ended by now goes into the same statement.
                    while let Some(Some((place, ended))) = self.running.next().now_or_never() {
                        self.ended(place, ended);
                    }
                }
                Some(()) = self.rings.next(), if !self.rings.is_empty() => {}
                () = sleep_until(wake), if !busy => {}
            }
        }
        let lines = self.take_lines();
        log::append(&self.worker.logs, lines, LOGS).await;
        while self.rings.next().await.is_some() {}
        self.outcome
    }

    fn next_wake(&self) -> Instant {
        match (self.running.is_empty(), self.ready.is_empty()) {
            (true, _) => self.finish_after,
            (false, true) => self.next_renewal,
            (false, false) => self.next_renewal.min(self.finish_after),
        }
    }

    /// Renewal goes first when it is due: it is due about once a second, so it holds nothing up for long.
    fn next_statement(&mut self) -> Option<BoxFuture<'a, Done>> {
        let now = Instant::now();
        if now >= self.next_renewal && !self.running.is_empty() {
            self.next_renewal = now + self.worker.renew_every;
            return Some(self.renew());
        }
        if self.ready.is_empty() || now < self.finish_after {
            return None;
        }
        if now >= self.deadline {
            self.abandon("the invocation's time is up");
            return None;
        }
        let ends = if self.singly { self.ready.drain(..1).collect() } else { std::mem::take(&mut self.ready) };
        Some(self.finish(ends))
    }

    fn renew(&mut self) -> BoxFuture<'a, Done> {
        let worker = self.worker;
        let renewals = self.attempts.iter().filter(|attempt| attempt.running).map(|attempt| Renewal {
            id: attempt.claimed.id,
            fence: attempt.claimed.fence,
            // Before the progress that it goes with.
            note: attempt.handle.take_note(),
            progress: attempt.handle.take_progress(),
            checkpoint: attempt.handle.take_checkpoint(),
        });
        let asked: Vec<_> = renewals.collect();
        let lines = self.take_lines();
        async move {
            let answer = within(DATABASE, async {
                let mut conn = worker.pool.acquire().await?;
                tasks::renew(&mut conn, &asked, worker.lease, worker.clock.database_override()).await
            });
            let (answer, logged) = futures::join!(answer, log::append(&worker.logs, lines, LOGS));
            Done::Renewed { asked, answer, logged }
        }
        .boxed()
    }

    fn finish(&mut self, ends: Vec<Finish>) -> BoxFuture<'a, Done> {
        let worker = self.worker;
        let lines = self.take_lines();
        let ends = Arc::new(ends);
        async move {
            // Lines first: whoever sees the end of a task should find its whole log.
            let logged = log::append(&worker.logs, lines, LOGS).await;
            let answer = worker.statements.finish(Arc::clone(&ends), worker.clock.database_override()).await;
            Done::Finished { ends, answer, logged }
        }
        .boxed()
    }

    fn take_lines(&self) -> Vec<(TaskId, LogLine)> {
        let of = |attempt: &Attempt| {
            let id = attempt.claimed.id;
            attempt.handle.take_lines().into_iter().map(move |line| (id, line))
        };
        let lines = self.attempts.iter().flat_map(of);
        if self.logs_down { lines.take(0).collect() } else { lines.collect() }
    }

    fn ended(&mut self, place: usize, ended: Ended) {
        let attempt = &mut self.attempts[place];
        attempt.running = false;
        let took = (self.worker.clock.now() - attempt.began).as_seconds_f64();
        let jitter = self.worker.entropy.unit();
        let ended = match ended {
            Ended::Stopped(Stop::InvocationEnds) if attempt.began_at.elapsed() >= SHORTEST_SLICE => Ended::HandedOver,
            other => other,
        };
        let Some(mut finish) = decision::finish_of(&attempt.claimed, ended, attempt.told.is_some(), jitter) else {
            self.outcome.refused += 1;
            tracing::warn!(task_id = %attempt.claimed.id, attempt = attempt.claimed.attempt, "lease lost; the attempt was stopped");
            return;
        };
        if let (Some(told), Ending::Finished { state: TaskState::Cancelled, .. }) = (attempt.told, &finish.ending) {
            let told = told.to_rfc3339_opts(SecondsFormat::Millis, true);
            finish.message = format!("{}; attempt {} was told at {told}", finish.message, attempt.claimed.attempt);
        }
        finish.progress = attempt.handle.take_progress();
        finish.checkpoint = attempt.handle.take_checkpoint();
        let level = match &finish.ending {
            Ending::Finished { state: TaskState::Completed | TaskState::Cancelled, .. } | Ending::HandOver => {
                LogLevel::Info
            }
            Ending::Finished { .. } => LogLevel::Error,
            Ending::Retry { .. } => LogLevel::Warning,
        };
        attempt.handle.log(level, format!("{} after {:.3} s", finish.message, took));
        let task = &attempt.claimed;
        tracing::info!(
            task_id = %task.id,
            task_type = %task.task_type,
            attempt = task.attempt,
            request_id = task.request_id.as_deref(),
            trace_id = task.traceparent.as_deref().and_then(|header| header.split('-').nth(1)),
            seconds = took,
            "{}", finish.message
        );
        self.ready.push(finish);
    }
}
