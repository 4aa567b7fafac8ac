//! The document of the API.

mod document;
mod page;
