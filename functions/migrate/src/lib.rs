//! halyard-fn-migrate
