//! halyard-fn-status
