//! JSON log lines on standard output.

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Starts logging: one JSON object a line, with the fields of the event at top level and those of the request under
/// `span`. `filter` is a level or a filter as `tracing` writes it (`info`, `warn,halyard_jobs=debug`); what cannot be
/// read as one means `info`. Only the first call in a process counts: a host with many environments logs once.
pub fn init(filter: &str) {
    init_to(filter, std::io::stdout);
}

/// The same, to somewhere else than standard output.
pub fn init_to(filter: &str, writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) {
    let filter = match filter.trim().to_ascii_lowercase().as_str() {
        // The names that the original's configuration used.
        "warning" => EnvFilter::new("warn"),
        "critical" => EnvFilter::new("error"),
        _ => EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info")),
    };
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish();
    // An error means that a subscriber is there already.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
