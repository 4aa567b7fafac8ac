//! The same suite against an application in this process and against any base URL:
//! `HALYARD_BASE_URL=http://127.0.0.1:8000 cargo nextest run -E 'test(e2e)'`. It uses HTTP and nothing else.

mod accounts;
mod data;
mod health;
mod tasks;
