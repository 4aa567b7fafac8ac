//! What `data_processing` answers.

use serde::Serialize;
use serde_json::Value;

/// The profile of a CSV.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// Data rows that were profiled: the header and malformed rows are not among them.
    pub rows: u64,
    /// Rows that were left out.
    pub malformed_rows: MalformedRows,
    /// The size of the text.
    pub bytes: u64,
    /// The character between two fields.
    pub delimiter: String,
    /// One entry per column, in the order of the header.
    pub columns: Vec<ColumnProfile>,
}

/// Rows whose number of fields differs from the header's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MalformedRows {
    /// How many.
    pub count: u64,
    /// The lines on which the first of them begin, counted from 1 (the header's line).
    pub first_lines: Vec<u64>,
}

/// What all values of a column that are not null have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Whole numbers of 64 bits.
    Integer,
    /// Numbers, some of them with a fraction.
    Float,
    /// `true` and `false`.
    Boolean,
    /// Calendar dates.
    Date,
    /// Dates with a time, or some with and some without.
    DateTime,
    /// Times of day.
    Time,
    /// Anything, or a mixture.
    Text,
    /// Nothing but nulls.
    Empty,
}

/// The profile of one column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnProfile {
    /// From the header; `column_N` where that is empty.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Values that are not null.
    pub count: u64,
    /// Empty fields and the words `NA`, `N/A`, `NaN`, `NULL`, `None`.
    pub nulls: u64,
    /// Different values, compared as they are written.
    pub distinct: u64,
    /// Whether `distinct` was counted; else it is a `HyperLogLog` estimate with a standard error of 0.8 %.
    pub distinct_exact: bool,
    /// The smallest value, in the sense of the column's type.
    pub min: Value,
    /// The largest.
    pub max: Value,
    /// The mean of a column of numbers.
    pub mean: Option<f64>,
    /// The sample's standard deviation (divided by n - 1) of a column of numbers.
    pub stddev: Option<f64>,
    /// The quantiles of a column of numbers.
    pub quantiles: Option<Quantiles>,
    /// The most frequent values, most frequent first.
    pub top_values: Vec<CountedValue>,
    /// By how much each `count` in `top_values` may be too low: 0 where they were counted exactly.
    pub top_values_error: u64,
}

/// Quantiles, with linear interpolation between neighbours (type 7 of Hyndman and Fan, the default of R and `NumPy`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantiles {
    /// A quarter of the values is not above it.
    pub p25: f64,
    /// The median.
    pub p50: f64,
    /// Three quarters are not above it.
    pub p75: f64,
    /// 95 % are not above it.
    pub p95: f64,
    /// Whether they were computed from all values; else they come from a logarithmic histogram and are within 1 % of
    /// the value at that rank.
    pub exact: bool,
}

/// A value and how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountedValue {
    /// As it is written; cut after 200 characters.
    pub value: String,
    /// How often.
    pub count: u64,
}
