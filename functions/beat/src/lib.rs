//! halyard-fn-beat
