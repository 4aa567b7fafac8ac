//! halyard-fn-auth
