//! The end of the audit log's chain, told to the log.

use halyard_domain::audit::hex;
use halyard_store::audit;
use serde_json::json;

use crate::{
    Beat,
    report::{Step, StepError},
};

/// Tells where the chain ends. The report goes where the logs go, out of reach of whoever tampers with the database: what it
/// said once shows later whether the entries up to there are still the same.
pub async fn anchor(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    match audit::head(&mut *beat.conn().await?).await? {
        Some(head) => step.tell("head", json!({"id": head.id, "hash": hex(&head.hash)})),
        None => step.note("the audit log's head is gone"),
    }
    Ok(())
}
