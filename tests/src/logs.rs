//! Log lines of this process, as the functions write them.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tracing_subscriber::fmt::MakeWriter;

/// Everything that was logged so far.
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Catches what is logged from now on by every thread of this process: one test, one process. The format is the one
    /// that the functions use.
    pub fn start() -> Self {
        static CAPTURED: OnceLock<Captured> = OnceLock::new();
        let captured = CAPTURED.get_or_init(|| {
            let captured = Self::default();
            let subscriber = tracing_subscriber::fmt()
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(true)
                .with_max_level(tracing::Level::INFO)
                .with_writer(captured.clone())
                .finish();
            tracing::subscriber::set_global_default(subscriber).expect("nobody else catches log lines");
            captured
        });
        captured.clone()
    }

    /// The same with the functions' own subscriber, at a level or levels by crate: as `LOG_LEVEL` says them.
    ///
    /// # Panics
    /// When somebody else catches log lines already.
    pub fn of(filter: &str) -> Self {
        let captured = Self::default();
        assert!(!tracing::dispatcher::has_been_set(), "nobody else catches log lines");
        halyard_http::telemetry::init_to(filter, captured.clone());
        captured
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
