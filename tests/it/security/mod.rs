//! Attacks. The walks go over every route of the template; what they have to know of one stands in `table.rs`, and a route
//! that is not there fails them.

mod answers;
mod bodies;
mod cookie;
mod enumeration;
mod fields;
mod fixation;
mod forge;
mod headers;
mod hostile;
mod logs;
mod mass_assignment;
mod ownership;
mod paths;
mod permissions;
mod queries;
mod schemathesis;
mod shared_secret;
mod smuggling;
mod table;
mod things;
mod tokens;
mod wire;
