//! The profile of a CSV as a table.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::Value;

const HEADER: [&str; 9] = ["column", "type", "nulls", "distinct", "min", "median", "mean", "max", "most frequent"];
/// Columns of numbers stand right.
const NUMERIC: [usize; 6] = [2, 3, 4, 5, 6, 7];
/// A date with hours and minutes.
const LONGEST_CELL: usize = 16;
const LONGEST_TOP: usize = 10;
const TOPS: usize = 2;

/// The table, one row for each column of the CSV.
pub fn render(profile: &Value) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled).set_header(HEADER);
    for column in profile["columns"].as_array().into_iter().flatten() {
        let distinct = count(&column["distinct"]);
        let about = if column["distinct_exact"] == false { "~" } else { "" };
        table.add_row([
            cut(&text(&column["name"]), LONGEST_CELL),
            text(&column["type"]),
            count(&column["nulls"]),
            format!("{about}{distinct}"),
            extreme(column, "min"),
            text(&column["quantiles"]["p50"]),
            text(&column["mean"]),
            extreme(column, "max"),
            top(&column["top_values"]),
        ]);
    }
    for index in NUMERIC {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// A count with its thousands set apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn count(value: &Value) -> String {
    value.as_u64().map(grouped).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(n) if n.is_f64() => {
            let shown = format!("{:.2}", n.as_f64().unwrap_or_default());
            shown.strip_suffix(".00").map(str::to_owned).unwrap_or(shown)
        }
        other => other.to_string(),
    }
}

fn extreme(column: &Value, which: &str) -> String {
    let text = text(&column[which]);
    match column["type"].as_str() {
        Some("datetime") => text.chars().take(LONGEST_CELL).collect(),
        _ => cut(&text, LONGEST_CELL),
    }
}

fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}

fn top(values: &Value) -> String {
    let mut out = String::new();
    for value in values.as_array().into_iter().flatten().take(TOPS) {
        let space = if out.is_empty() { "" } else { ", " };
        let _ = write!(out, "{space}{} ({})", cut(&text(&value["value"]), LONGEST_TOP), count(&value["count"]));
    }
    out
}
