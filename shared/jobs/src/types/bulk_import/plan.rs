//! All records of an import, judged.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::rules::{Rules, Wrong};
use crate::types::rows::Frame;

/// Errors that are told.
const MOST_ERRORS: usize = 100;

/// What is written, and what is not.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// How many records there are.
    pub records: usize,
    /// Where those that are written stand among them, from 1.
    pub positions: Vec<i32>,
    /// They themselves, as JSON.
    pub lines: Vec<String>,
    /// How many are not written.
    pub invalid: usize,
    /// What is wrong with these; not all of it.
    pub errors: Vec<Wrong>,
    /// Two imports that write the same have the same.
    pub digest: String,
}

impl Plan {
    pub fn of(frame: Frame, rules: &Rules) -> Self {
        let Frame { columns, rows } = frame;
        let mut plan = Self { records: rows.len(), ..Self::default() };
        let mut hash = Sha256::new();
        for (position, row) in (1..).zip(rows) {
            let wrong = rules.judge(position, &row, &columns);
            if wrong.is_empty() {
                let line = Value::Object(row).to_string();
                hash.update(position.to_be_bytes());
                hash.update((line.len() as u64).to_be_bytes());
                hash.update(&line);
                plan.positions.push(position);
                plan.lines.push(line);
            } else {
                plan.invalid += 1;
                plan.errors.extend(wrong.into_iter().take(MOST_ERRORS - plan.errors.len()));
            }
        }
        plan.digest = BASE64_STANDARD.encode(hash.finalize());
        plan
    }
}
