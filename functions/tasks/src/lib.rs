//! halyard-fn-tasks
