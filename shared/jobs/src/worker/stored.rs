//! Results that are too large for a row: each is an object, and its task knows under which key.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use halyard_cloud::objects::{BucketName, Objects};
use halyard_domain::TaskId;
use halyard_store::{
    tasks::{self, Room},
    within,
};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout_at};

use super::{DATABASE, Worker, attempt::Ended, decision::MAX_RESULT};
use crate::context::{Handle, Stop};

/// The largest result that is kept at all, in bytes of JSON: an environment may hold one of each attempt that it runs.
pub const MAX_STORED_RESULT: usize = 32 * 1024 * 1024;
/// The first pause before a service that was away is asked again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Where such results go.
#[derive(Debug, Clone)]
pub struct Results {
    /// S3.
    pub objects: Arc<dyn Objects>,
    /// The bucket.
    pub bucket: BucketName,
}

/// Does an answer of Lambda carry the result? It is JSON in a text of JSON there, in which quotes and backslashes take two bytes.
pub fn fits(result: &RawValue) -> bool {
    let json = result.get();
    let escaped = || json.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    json.len() <= MAX_RESULT / 2 || json.len() <= MAX_RESULT && json.len() + escaped() <= MAX_RESULT
}

/// Stores what an attempt answered if no row has room for it, and says how the attempt ended then. What is away is asked until
/// `until`: the work is done, and need not be done again. One that loses its task meanwhile stops; what it may have stored stands
/// under a key of its own. A cancellation that comes now is too late, as for any result.
pub async fn apart(worker: &Worker, id: TaskId, fence: i64, ended: Ended, handle: &Handle, until: Instant) -> Ended {
    let result = match ended {
        Ended::Answered(Ok(result)) if !fits(&result) && result.get().len() <= MAX_STORED_RESULT => result,
        other => return other,
    };
    let mut wishes = handle.wish().subscribe();
    tokio::select! {
        biased;
        _ = wishes.wait_for(|wish| *wish == Some(Stop::LeaseLost)) => Ended::Stopped(Stop::LeaseLost),
        ended = timeout_at(until, store(worker, id, fence, result)) => {
            ended.unwrap_or_else(|_| Ended::NotStored("the invocation's time was up".to_owned()))
        }
    }
}

async fn store(worker: &Worker, id: TaskId, fence: i64, result: Box<RawValue>) -> Ended {
    let key = format!("results/{id}/{fence}.json");
    let mut pause = FIRST_PAUSE;
    loop {
        let room = within(DATABASE, async {
            let mut conn = worker.pool.acquire().await?;
            tasks::note_stored(&mut conn, id, fence, &key).await
        });
        match room.await {
            Ok(Room::Noted) => break,
            Ok(Room::Taken) => return Ended::Answered(Ok(result)),
            Ok(Room::Fenced) => return Ended::Stopped(Stop::LeaseLost),
            Err(error) if error.is_unavailable() => again(id, &error, &mut pause).await,
            Err(error) => return Ended::NotStored(error.to_string()),
        }
    }
    let body = Bytes::from(Box::<str>::from(result).into_string());
    let Results { objects, bucket } = &worker.results;
    loop {
        match objects.put(bucket, &key, body.clone(), "application/json").await {
            Ok(()) => return Ended::Stored,
            Err(error) if error.is_unavailable() => again(id, &error, &mut pause).await,
            Err(error) => return Ended::NotStored(error.to_string()),
        }
    }
}

async fn again(id: TaskId, error: &(dyn std::error::Error + Sync), pause: &mut Duration) {
    tracing::warn!(task_id = %id, %error, "a result could not be stored yet");
    sleep(*pause).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}
