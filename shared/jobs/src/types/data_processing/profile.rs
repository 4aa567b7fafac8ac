//! The profile of a whole CSV, read piece by piece.

use std::io::Cursor;

use csv::{Reader, ReaderBuilder, StringRecord};

use super::{
    Input,
    column::Column,
    detect,
    output::{MalformedRows, Profile},
};
use crate::task::TaskFailure;

/// Of so many malformed rows the line is reported.
const LINES_SHOWN: usize = 10;
/// Each column costs memory: a header with more is refused.
const MAX_COLUMNS: usize = 1_000;

/// A profile in the making.
#[derive(Debug)]
pub struct Profiler {
    reader: Reader<Cursor<Vec<u8>>>,
    record: StringRecord,
    delimiter: u8,
    top: usize,
    bytes: u64,
    rows: u64,
    malformed: MalformedRows,
    columns: Vec<Column>,
}

impl Profiler {
    /// Reads the header.
    ///
    /// # Errors
    /// A permanent failure when the header cannot be read or has too many columns.
    pub fn new(input: Input) -> Result<Self, TaskFailure> {
        let delimiter =
            input.delimiter.as_deref().and_then(detect::delimiter_byte).unwrap_or_else(|| detect::detect(&input.csv));
        let bytes = input.csv.len() as u64;
        // `flexible`: a row of another length is counted as malformed here, and reading goes on.
        let mut reader =
            ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(Cursor::new(input.csv.into_bytes()));
        let header = reader.headers().map_err(unreadable)?;
        if header.len() > MAX_COLUMNS {
            let message = format!("the header has {} columns; at most {MAX_COLUMNS} can be profiled", header.len());
            return Err(TaskFailure::permanent("too_many_columns", message));
        }
        let columns = header.iter().enumerate().map(|(index, name)| Column::new(name, index)).collect();
        let top = usize::try_from(input.top).unwrap_or_default();
        let malformed = MalformedRows::default();
        Ok(Self { reader, record: StringRecord::new(), delimiter, top, bytes, rows: 0, malformed, columns })
    }

    /// Reads on for about `piece` bytes; answers whether there may be more.
    ///
    /// # Errors
    /// A permanent failure when a record cannot be read.
    pub fn read(&mut self, piece: u64) -> Result<bool, TaskFailure> {
        let end = self.position() + piece;
        while self.position() < end {
            if !self.reader.read_record(&mut self.record).map_err(unreadable)? {
                return Ok(false);
            }
            if self.record.len() == self.columns.len() {
                self.rows += 1;
                self.columns.iter_mut().zip(&self.record).for_each(|(column, field)| column.add(field));
            } else {
                self.malformed.count += 1;
                if self.malformed.first_lines.len() < LINES_SHOWN {
                    self.malformed.first_lines.extend(self.record.position().map(csv::Position::line));
                }
            }
        }
        Ok(true)
    }

    /// How many bytes have been read.
    pub fn position(&self) -> u64 {
        self.reader.position().byte()
    }

    /// How many good rows have been read.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many columns the header has.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// What has been found.
    pub fn finish(self) -> Profile {
        Profile {
            rows: self.rows,
            malformed_rows: self.malformed,
            bytes: self.bytes,
            delimiter: char::from(self.delimiter).to_string(),
            columns: self.columns.into_iter().map(|column| column.finish(self.top)).collect(),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err asks for")]
fn unreadable(error: csv::Error) -> TaskFailure {
    TaskFailure::permanent("unreadable_csv", error.to_string())
}
