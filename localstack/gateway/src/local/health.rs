//! `health`: is it healthy? For health checks, which look at nothing but how the program ends.

use std::time::Duration;

use http::{StatusCode, Uri};

use super::{cli::HealthArgs, client::Client, error::LocalError};

/// Who takes longer is not healthy.
const PATIENCE: Duration = Duration::from_secs(4);
/// What is asked for unless the URL says.
const PING: &str = "/health/ping";

/// Asks once.
///
/// # Errors
/// When the answer is not 200, or there is none.
pub async fn run(args: &HealthArgs) -> Result<(), LocalError> {
    let unhealthy = |why: &str| LocalError::Unhealthy(format!("{} is not healthy: {why}", args.url));
    let uri: Uri = args.url.parse().map_err(|_| unhealthy("it is not a URL"))?;
    let path = uri.path_and_query().map(http::uri::PathAndQuery::as_str).filter(|path| *path != "/").unwrap_or(PING);
    let base = args.url.strip_suffix(path).unwrap_or(&args.url);
    let client = Client::new(base);
    let answer = tokio::time::timeout(PATIENCE, client.get(path)).await;
    let answer = answer.map_err(|_| unhealthy("no answer in time"))?.map_err(|why| unhealthy(&why))?;
    if answer.status == StatusCode::OK { Ok(()) } else { Err(unhealthy(&answer.complaint())) }
}
