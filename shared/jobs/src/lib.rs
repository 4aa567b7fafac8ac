//! halyard-jobs
