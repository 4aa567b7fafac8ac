//! Statistics at constant cost, whatever the history: deltas that submit and finish append, totals that [`fold`] keeps,
//! and an [`overview`] that adds both up.

mod calls;
mod fold;
mod overview;

pub use calls::{calls_folded, fold_calls};
pub use fold::{fold, sample_running};
pub use overview::{Counts, StatsOverview, TypeStats, UserStats, WorkerStats, of_user, overview};
