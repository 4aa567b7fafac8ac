//! Mail that nobody has sent yet, and mail that is over and done with.

use chrono::Duration;
use halyard_store::mails;

use crate::{
    Beat,
    report::{Step, StepError},
};

/// Mails sent side by side: fewer than SES takes in a second from an account out of its sandbox (14).
const BATCH: i64 = 10;
/// Batches of one beat.
const BATCHES: usize = 20;
/// How long mails are kept once they have ended, to answer questions about them.
const KEPT: Duration = Duration::days(7);
/// Mails forgotten in one beat.
const FORGOTTEN: i64 = 1_000;

/// Sends what is owed and due, then forgets what ended a week ago.
pub async fn send(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    for _ in 0..BATCHES {
        let owed = mails::owed(&mut *beat.conn().await?, BATCH, beat.now()).await?;
        if owed.is_empty() {
            break;
        }
        let counts = beat.post.send(&beat.pool, &owed, beat.now()).await?;
        step.add("sent", counts.sent);
        step.add("given_up", counts.given_up);
        step.add("again", counts.again);
        if counts.again > 0 {
            // The next batch would fare no better.
            step.note(format!("{} mails could not be sent", counts.again));
            break;
        }
    }
    let forgotten = mails::sweep(&mut *beat.conn().await?, KEPT, FORGOTTEN, beat.now()).await?;
    step.add("forgotten", usize::try_from(forgotten).unwrap_or_default());
    Ok(())
}
