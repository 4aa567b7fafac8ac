//! Tasks: submit, read, claim, renew, finish, reap, cancel, try again.
//!
//! `domain::task::TaskState::may_become` is the transition table. The statements here hold it after the fact, by what
//! they demand of the row they change:
//!
//! | from | to | the statement's condition |
//! |---|---|---|
//! | - | queued, scheduled | `submit`: the id is new |
//! | queued, scheduled, retrying | running | `claim`: state is claimable, row locked |
//! | running | completed, failed, cancelled, expired, dead, retrying, queued | `finish`, `release`: state is running **and** the fence is the one that the attempt was given |
//! | queued, scheduled, retrying | cancelled | `cancel_many`, the function `cancel_waiting`: state is claimable, row locked |
//! | scheduled | scheduled, due later | `debounced`: it has not started, row locked |
//! | scheduled | queued, scheduled | `workflows::commit`: it waits for other steps, and the workflow's version is the one that was read |
//! | - | queued, scheduled | `again`: the id is new, and nobody else tries the same task again, its workflow included |
//! | running | cancelled | `cancel_many` with force: state is running, row locked; the fence grows |
//!
//! Nothing changes a row in a terminal state, because no condition admits one.

pub(crate) mod accept;
mod again;
mod cancel;
mod claim;
mod dead;
mod finish;
mod intake;
mod list;
mod matching;
mod paced;
mod read;
mod reap;
mod renew;
mod stored;
mod submit;
mod writer;

pub(crate) use accept::Belonging;
pub use again::{Again, AgainTerms, Retried, TriedAgain, again, lanes_of, made_again};
pub use cancel::{CancelTerms, Cancelled, cancel_many};
pub use claim::{Claim, Claimed, Front, Look, claim};
pub use dead::{DeadFilter, DeadLetter, dead_letters};
pub use finish::{Ending, Finish, FinishedRow, finish};
pub use intake::Intake;
pub use list::{Filter, TaskPage, TaskSummary, list};
pub use matching::{LOOKED_AT, Matching, Scope, matching};
pub use paced::{debounced, forget_throttles, throttled};
pub use read::{TaskEvent, TaskRecord, events, get};
pub use reap::{Lost, expired_leases, release};
pub use renew::{Renewal, Renewed, renew};
pub use stored::{Room, note_stored};
pub(crate) use submit::insert;
pub use submit::{Concurrency, Holder, NewTask, Step, Submitted, Ties, submit, submit_many};
pub use writer::{Writer, checkpoint};
