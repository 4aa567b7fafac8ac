//! halyard-http
