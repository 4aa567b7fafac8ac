//! halyard-authorizer
