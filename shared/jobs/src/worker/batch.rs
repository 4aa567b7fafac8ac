//! The attempts of one batch, side by side, and the statements that keep and end them.
//!
//! At most one statement is under way at a time; the attempts run on meanwhile. Ends that come while a statement is
//! under way wait and go together into the next one, so a busy worker needs fewer statements for the same work.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use halyard_cloud::task_logs::{LogLevel, LogLine};
use halyard_domain::{TaskId, task::TaskState, webhook};
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
    decision, owner, tell,
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
/// Progress of a task is told this often at most: `domain::webhook::PROGRESS_EVERY`.
const PROGRESS_EVERY: Duration = Duration::from_secs(webhook::PROGRESS_EVERY.num_seconds().unsigned_abs());
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

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
    Finished { ends: Vec<Finish>, answer: Result<Vec<FinishedRow>, StoreError>, logged: bool },
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
                        attempt::run(prepared, context, &handle, limit).await
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

    /// Renewal goes first when it is due: it is due once a second, so it holds nothing up for long.
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
        async move {
            // Lines first: whoever sees the end of a task should find its whole log.
            let logged = log::append(&worker.logs, lines, LOGS).await;
            let answer = within(DATABASE, async {
                let mut conn = worker.pool.acquire().await?;
                tasks::finish(&mut conn, &ends, worker.clock.database_override()).await
            })
            .await;
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

    fn digest(&mut self, done: Done) {
        let (Done::Renewed { logged, .. } | Done::Finished { logged, .. }) = done;
        self.logs_down |= !logged;
        match done {
            Done::Renewed { asked, answer: Ok(renewed), .. } => self.renewed(&asked, &renewed),
            Done::Renewed { asked, answer: Err(error), .. } => {
                tracing::warn!(%error, "leases could not be renewed");
                for renewal in asked {
                    let handle = &self.attempts[self.places[&renewal.id]].handle;
                    handle.give_back(renewal.progress.as_deref(), renewal.checkpoint);
                }
            }
            Done::Finished { ends, answer: Ok(rows), .. } => self.committed(&ends, rows),
            Done::Finished { ends, answer: Err(error), .. } => self.not_committed(ends, &error),
        }
    }

    fn renewed(&mut self, asked: &[Renewal], renewed: &[Renewed]) {
        for renewal in asked {
            let attempt = &mut self.attempts[self.places[&renewal.id]];
            match renewed.iter().find(|row| row.id == renewal.id) {
                None => attempt.handle.stop(Stop::LeaseLost),
                Some(row) => {
                    if row.cancel_requested && attempt.told.is_none() {
                        attempt.told = Some(self.worker.clock.now());
                        attempt.handle.stop(Stop::Cancelled);
                    }
                    if row.calls_back {
                        self.tell_progress(renewal.id);
                    }
                }
            }
        }
    }

    /// Rings for the webhook that tells of a task's progress: at once for the first one, and for those that follow sooner than
    /// they are told when they are.
    fn tell_progress(&mut self, id: TaskId) {
        let attempt = &mut self.attempts[self.places[&id]];
        let now = Instant::now();
        let due = match attempt.told_until {
            Some(until) if until > now => return,
            Some(until) => (until + PROGRESS_EVERY).max(now),
            None => now,
        };
        attempt.told_until = Some(due);
        self.rings.push(tell::ring_for_webhooks(self.worker, due - now).boxed());
    }

    fn committed(&mut self, ends: &[Finish], rows: Vec<FinishedRow>) {
        self.pause = FIRST_PAUSE;
        self.outcome.committed += rows.len();
        for end in ends.iter().filter(|end| !rows.iter().any(|row| row.id == end.id)) {
            self.outcome.refused += 1;
            tracing::warn!(task_id = %end.id, fence = end.fence, "the end of a stale attempt was refused");
        }
        if rows.iter().any(|row| row.calls_back) {
            self.rings.push(tell::ring_for_webhooks(self.worker, Duration::ZERO).boxed());
        }
        let worker = self.worker;
        let follows = |row: &FinishedRow| row.workflow.is_some() || row.delay.is_some() || !row.wakes.is_empty();
        if rows.iter().any(follows) {
            let follow = async move {
                tell::take_workflows_further(worker, &rows).await;
                tell::ring_for(worker, rows).await;
            };
            self.rings.push(follow.boxed());
        }
    }

    fn not_committed(&mut self, mut ends: Vec<Finish>, error: &StoreError) {
        if error.is_unavailable() {
            tracing::warn!(%error, count = ends.len(), "ends of attempts could not be committed yet");
            self.finish_after = (Instant::now() + self.pause).min(self.deadline);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        } else if ends.len() > 1 {
            // One of them is at fault, and must not take the others along.
            tracing::error!(%error, count = ends.len(), "ends of attempts were refused; trying one by one");
            self.singly = true;
        } else if ends.iter_mut().all(without_result) {
            tracing::error!(%error, task_id = %ends[0].id, "the end of an attempt cannot be stored; failing the task");
        } else {
            tracing::error!(%error, task_id = %ends[0].id, "the end of an attempt cannot be stored at all");
            self.outcome.abandoned += ends.len();
            return;
        }
        ends.append(&mut self.ready);
        self.ready = ends;
    }

    fn abandon(&mut self, why: &str) {
        self.outcome.abandoned += self.ready.len();
        for end in self.ready.drain(..) {
            tracing::error!(task_id = %end.id, "the end of an attempt is left to its lease: {why}");
        }
    }
}

/// Strips an end of everything that the task's code wrote; `false` when there was nothing left to strip.
fn without_result(end: &mut Finish) -> bool {
    const WHY: &str = "result_not_stored: the database refused the result";
    if matches!(&end.ending, Ending::Finished { error: Some(error), .. } if error == WHY) {
        return false;
    }
    end.ending = Ending::Finished { state: TaskState::Failed, result: None, error: Some(WHY.to_owned()) };
    end.message = format!("Task failed: {WHY}");
    (end.progress, end.checkpoint) = (None, None);
    true
}
