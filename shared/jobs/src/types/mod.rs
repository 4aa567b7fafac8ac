//! The task types that Halyard ships.

pub mod bulk_import;
pub mod data_extraction;
pub mod data_processing;
pub mod data_transformation;
pub mod database_cleanup;
pub mod http_request;
pub mod lambda_invoke;
pub mod machine_learning_training;
pub mod report_generation;
pub mod rows;
mod sample;
mod user_specific;

pub use bulk_import::BulkImport;
pub use data_extraction::DataExtraction;
pub use data_processing::DataProcessing;
pub use data_transformation::DataTransformation;
pub use database_cleanup::DatabaseCleanup;
pub use http_request::HttpRequest;
pub use lambda_invoke::LambdaInvoke;
pub use machine_learning_training::MachineLearningTraining;
pub use report_generation::ReportGeneration;
pub use sample::Sample;
pub use user_specific::UserSpecific;

use crate::task::TaskFailure;

/// Work that keeps a processor busy, on a thread of its own: in pieces of some milliseconds, as it cannot be stopped.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TaskFailure> + Send + 'static,
) -> Result<T, TaskFailure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => std::panic::resume_unwind(payload),
            Err(_) => Err(TaskFailure::retryable("interrupted", "the runtime is shutting down")),
        },
    }
}
