//! halyard-gateway
