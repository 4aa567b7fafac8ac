//! halyard-fn-worker
