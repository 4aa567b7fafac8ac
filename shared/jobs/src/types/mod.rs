//! The task types that Halyard ships.

pub mod data_processing;
mod sample;
mod user_specific;

pub use data_processing::DataProcessing;
pub use sample::Sample;
pub use user_specific::UserSpecific;
