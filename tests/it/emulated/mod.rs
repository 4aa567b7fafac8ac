//! What only a deployed stack shows: `make test-emulated`. The end-to-end suite runs beside these against the run's own
//! stack; each of these deploys one for itself, by `scripts/deploy`, so that it may break it.

mod configuration;
mod delivery;
mod dependency;
mod figures;
mod lifecycle;
mod migrate;
