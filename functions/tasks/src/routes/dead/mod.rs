//! Dead letters: tasks that the platform gave up.

pub mod list;
pub mod redrive;
