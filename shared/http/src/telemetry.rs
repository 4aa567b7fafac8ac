//! JSON log lines on standard output.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _};

/// Crates that write whole requests and answers into the log below this level: passwords, tokens, what a mail says.
/// `lambda_runtime` the event, `aws_*` what they sign, send and receive.
const SECRETIVE: [(&str, LevelFilter); 2] = [("aws_", LevelFilter::DEBUG), ("lambda_runtime", LevelFilter::DEBUG)];

/// Starts logging: one JSON object a line, with the fields of the event at top level and those of the request under
/// `span`. `filter` is a level, or levels by crate or module (`info`, `warn,halyard_jobs=debug`); what cannot be read as
/// one means `info`. No level makes a secret reach the log. Only the first call in a process counts: a host with many environments logs once.
pub fn init(filter: &str) {
    init_to(filter, std::io::stdout);
}

/// The same, to somewhere else than standard output.
pub fn init_to(filter: &str, writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) {
    // `EnvFilter` could also look at spans and fields; it would bring a regular expression engine into every function.
    let filter = match filter.trim().to_ascii_lowercase().as_str() {
        // The names that the original's configuration used.
        "warning" => Targets::new().with_default(LevelFilter::WARN),
        "critical" => Targets::new().with_default(LevelFilter::ERROR),
        _ => filter.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO)),
    };
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer);
    // Whatever level is asked for, by whichever name.
    let ceiling = Targets::new().with_default(LevelFilter::TRACE).with_targets(SECRETIVE);
    let subscriber = tracing_subscriber::registry().with(filter).with(ceiling).with(lines);
    // An error means that a subscriber is there already.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
