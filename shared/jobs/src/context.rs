//! What an attempt sees of the world around it, and what that world sees of the attempt.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use halyard_domain::{Clock, TaskId, UserId};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};
use tokio::{sync::watch, time::Instant};

use crate::log::{LogLevel, LogLine};

/// Why an attempt is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Somebody cancelled the task.
    Cancelled,
    /// The task's own time limit has passed.
    TimedOut,
    /// The invocation that carries the attempt is about to end.
    InvocationEnds,
    /// The lease is lost: another attempt may be running, and nothing that this one does counts any more.
    LeaseLost,
}

/// What a claimed row says about the attempt.
#[derive(Debug, Clone)]
pub struct AttemptInfo {
    /// The task.
    pub task_id: TaskId,
    /// Whose it is.
    pub user_id: UserId,
    /// 1 for the first attempt.
    pub attempt: i16,
    /// When the attempt will be stopped.
    pub deadline: Instant,
    /// What an earlier attempt saved last.
    pub checkpoint: Option<Box<RawValue>>,
}

#[derive(Debug, Default)]
struct Reported {
    progress: Option<Value>,
    checkpoint: Option<Box<RawValue>>,
    lines: Vec<LogLine>,
    next_line: u32,
    /// What the history may say next of the progress.
    note: Option<String>,
    noted_at: Option<DateTime<Utc>>,
}

#[derive(Debug)]
struct Shared {
    info: AttemptInfo,
    clock: Arc<dyn Clock>,
    began_at: DateTime<Utc>,
    reported: Mutex<Reported>,
}

impl Shared {
    fn reported(&self) -> std::sync::MutexGuard<'_, Reported> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt's context. Cheap to clone; may be taken along to other threads.
#[derive(Debug, Clone)]
pub struct TaskContext {
    shared: Arc<Shared>,
    stop: watch::Receiver<Option<Stop>>,
}

/// The worker's end of a context.
#[derive(Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    stop: watch::Sender<Option<Stop>>,
}

/// A context and the worker's end of it.
pub fn context(info: AttemptInfo, clock: Arc<dyn Clock>) -> (TaskContext, Handle) {
    let (sender, receiver) = watch::channel(None);
    let began_at = clock.now();
    let shared = Arc::new(Shared { info, clock, began_at, reported: Mutex::default() });
    (TaskContext { shared: shared.clone(), stop: receiver }, Handle { shared, stop: sender })
}

/// Between two notes in a task's history at least.
const NOTES: TimeDelta = TimeDelta::seconds(10);
/// The longest of them, in characters.
const LONGEST_NOTE: usize = 200;

/// Log lines that one attempt may hold between two flushes; more are dropped, and one line says so.
const MAX_PENDING_LINES: usize = 1_000;

impl TaskContext {
    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.shared.info.task_id
    }

    /// Whose task it is.
    pub fn user_id(&self) -> UserId {
        self.shared.info.user_id
    }

    /// 1 for the first attempt.
    pub fn attempt(&self) -> i16 {
        self.shared.info.attempt
    }

    /// The present.
    pub fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.shared.clock.now()
    }

    /// The present, as statements of the database are told it.
    pub fn database_override(&self) -> Option<DateTime<Utc>> {
        self.shared.clock.database_override()
    }

    /// When the attempt will be stopped.
    pub fn deadline(&self) -> Instant {
        self.shared.info.deadline
    }

    /// What an earlier attempt saved last; `None` as well when it does not decode into `T`.
    pub fn resume_from<T: DeserializeOwned>(&self) -> Option<T> {
        self.shared.info.checkpoint.as_deref().and_then(|saved| serde_json::from_str(saved.get()).ok())
    }

    /// Reports progress: 0 to 100 per cent, and whatever else the client should see. Uploaded with the next lease
    /// renewal; only the last report before it counts, so reporting often costs next to nothing. Now and then, at most every
    /// ten seconds, one goes into the task's history: `message`, if the report has one, or else the percentage.
    pub fn progress(&self, percentage: f64, extra: Map<String, Value>) {
        let mut progress = extra;
        let rounded = (percentage.clamp(0.0, 100.0) * 10.0).round() / 10.0;
        let note = match progress.get("message").and_then(Value::as_str) {
            Some(message) => message.chars().take(LONGEST_NOTE).collect(),
            None => format!("Progress: {rounded} %"),
        };
        progress.insert("percentage".into(), rounded.into());
        let mut reported = self.shared.reported();
        reported.progress = Some(Value::Object(progress));
        reported.note = Some(note);
    }

    /// Saves what a later attempt may resume from. Uploaded with the next lease renewal.
    ///
    /// # Errors
    /// When `state` has no form as JSON.
    pub fn checkpoint(&self, state: &impl Serialize) -> Result<(), serde_json::Error> {
        let saved = to_raw_value(state)?;
        self.shared.reported().checkpoint = Some(saved);
        Ok(())
    }

    /// Writes a line into the task's log.
    pub fn log(&self, level: LogLevel, message: impl Into<String>) {
        self.shared.log(level, message.into());
    }

    /// Has the attempt been asked to stop?
    pub fn is_cancelled(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Why the attempt has been asked to stop, if it has.
    pub fn stop_reason(&self) -> Option<Stop> {
        *self.stop.borrow()
    }

    /// Waits until the attempt is asked to stop.
    pub async fn cancelled(&self) {
        if self.stop.clone().wait_for(Option::is_some).await.is_err() {
            // The worker is gone without having asked: nobody will ever ask.
            std::future::pending::<()>().await;
        }
    }
}

impl Shared {
    fn log(&self, level: LogLevel, message: String) {
        let mut reported = self.reported();
        if reported.lines.len() > MAX_PENDING_LINES {
            return;
        }
        let (level, message) = if reported.lines.len() == MAX_PENDING_LINES {
            (LogLevel::Warning, "lines were dropped here: too many at once".to_owned())
        } else {
            (level, message)
        };
        let line =
            LogLine { at: self.clock.now(), attempt: self.info.attempt, seq: reported.next_line, level, message };
        reported.next_line += 1;
        reported.lines.push(line);
    }
}

impl Handle {
    /// Asks the attempt to stop. The first reason stands, except that a lost lease overrides all.
    pub fn stop(&self, why: Stop) {
        self.stop.send_if_modified(|current| {
            let takes = current.is_none() || (why == Stop::LeaseLost && *current != Some(Stop::LeaseLost));
            if takes {
                *current = Some(why);
            }
            takes
        });
    }

    /// Why the attempt was asked to stop, if it was.
    pub fn stopped(&self) -> Option<Stop> {
        *self.stop.borrow()
    }

    /// The wish to stop itself.
    pub(crate) fn wish(&self) -> &watch::Sender<Option<Stop>> {
        &self.stop
    }

    /// Writes a line of the worker's own into the task's log.
    pub fn log(&self, level: LogLevel, message: String) {
        self.shared.log(level, message);
    }

    /// Progress that has not been uploaded yet.
    pub fn take_progress(&self) -> Option<Box<RawValue>> {
        let progress = self.shared.reported().progress.take();
        progress.and_then(|progress| to_raw_value(&progress).ok())
    }

    /// A checkpoint that has not been uploaded yet.
    pub fn take_checkpoint(&self) -> Option<Box<RawValue>> {
        self.shared.reported().checkpoint.take()
    }

    /// Gives back what could not be uploaded, unless there is something newer.
    pub fn give_back(&self, progress: Option<&RawValue>, checkpoint: Option<Box<RawValue>>) {
        let mut reported = self.shared.reported();
        if reported.progress.is_none() {
            reported.progress = progress.and_then(|progress| serde_json::from_str(progress.get()).ok());
        }
        if reported.checkpoint.is_none() {
            reported.checkpoint = checkpoint;
        }
    }

    /// What the history is to say of the progress, when it is time: ten seconds after the attempt began or after the last
    /// note, and a tenth of the time that the attempt has run, so that even a day has fewer than a hundred of them.
    pub fn take_note(&self) -> Option<String> {
        let (now, began) = (self.shared.clock.now(), self.shared.began_at);
        let mut reported = self.shared.reported();
        let pause = NOTES.max((now - began) / 10);
        // Only with progress that is about to be written: a history grows with its task's row.
        if reported.progress.is_none() || now - reported.noted_at.unwrap_or(began) < pause {
            return None;
        }
        let note = reported.note.take()?;
        reported.noted_at = Some(now);
        // PostgreSQL's text holds no NUL.
        Some(note.replace('\0', "\u{fffd}"))
    }

    /// Log lines that have not been written yet.
    pub fn take_lines(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.shared.reported().lines)
    }
}
