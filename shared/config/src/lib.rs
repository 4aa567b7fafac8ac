//! halyard-config
