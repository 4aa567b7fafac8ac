//! halyard-store
