//! Rows, as tasks take and give them: CSV text, a list of objects, or what an earlier step returned.

mod bounded;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

/// One row: values by column.
pub type Row = Map<String, Value>;

/// Rows and their columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frame {
    /// The columns, in their order: that of a CSV's header, or of the alphabet.
    pub columns: Vec<String>,
    /// The rows. What one does not have is null.
    pub rows: Vec<Row>,
}

/// Rows that a client gave, of [`MOST_OBJECTS`] objects at most.
#[derive(Debug, Clone)]
pub struct Table(Value);

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded::value(deserializer, MOST_OBJECTS).map(Self)
    }
}

impl JsonSchema for Table {
    fn schema_name() -> Cow<'static, str> {
        "Table".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "CSV text with a header line, a list of objects, or an object that has one of them under \
                `rows`, `data`, `items`, `output`, `content`, `result`, `records` or `results`, as earlier steps and services \
                return it.",
            "type": ["string", "array", "object"]
        })
    }
}

/// Objects in a table, its rows and whatever is in them: the smallest take a hundred times the memory that their text does, and one
/// request may bring half a million of them.
pub const MOST_OBJECTS: usize = 200_000;

/// Where an object has its rows.
const MEMBERS: [&str; 8] = ["rows", "data", "items", "output", "content", "result", "records", "results"];
/// How deep they are looked for.
const DEEPEST: usize = 4;

impl Table {
    /// Of CSV text.
    pub fn of_text(text: String) -> Self {
        Self(Value::String(text))
    }

    /// The rows.
    ///
    /// # Errors
    /// With the rule that is broken, for people.
    pub fn frame(&self) -> Result<Frame, String> {
        self.clone().into_frame()
    }

    /// The rows, without a second copy of them: a small row takes a hundred times the memory that its text does.
    ///
    /// # Errors
    /// Likewise.
    pub fn into_frame(self) -> Result<Frame, String> {
        frame(self.0, DEEPEST)
    }

    /// How many rows there are, without a copy of them.
    ///
    /// # Errors
    /// Likewise.
    pub fn count(&self) -> Result<usize, String> {
        count(&self.0, DEEPEST)
    }

    /// Is it an object that has no rows in it, and so is one row itself?
    pub fn is_single(&self) -> bool {
        self.0.as_object().is_some_and(|object| place_in(object).is_none())
    }

    /// The text, if it is one of a single line: a name or a path, not rows.
    pub fn name(&self) -> Option<&str> {
        self.0.as_str().filter(|text| !text.trim_end().contains('\n'))
    }
}

fn frame(value: Value, deep: usize) -> Result<Frame, String> {
    match value {
        Value::String(text) => parse_csv(&text),
        Value::Array(items) => {
            let object = |(at, item)| match item {
                Value::Object(object) => Ok(object),
                _ => Err(no_object(at)),
            };
            items.into_iter().enumerate().map(object).collect::<Result<Vec<_>, _>>().map(Frame::of)
        }
        Value::Object(mut object) => match place_in(&object).filter(|_| deep > 0) {
            Some(name) => frame(object.remove(name).unwrap_or_default(), deep - 1),
            None => Ok(Frame::of(vec![object])),
        },
        _ => Err(NO_ROWS.to_owned()),
    }
}

fn count(value: &Value, deep: usize) -> Result<usize, String> {
    match value {
        Value::String(text) => parse_csv(text).map(|frame| frame.rows.len()),
        Value::Array(items) => match items.iter().position(|item| !item.is_object()) {
            Some(at) => Err(no_object(at)),
            None => Ok(items.len()),
        },
        Value::Object(object) => match place_in(object).filter(|_| deep > 0) {
            Some(name) => count(&object[name], deep - 1),
            None => Ok(1),
        },
        _ => Err(NO_ROWS.to_owned()),
    }
}

const NO_ROWS: &str = "must be CSV text, a list of objects, or an object that has one of them";

fn no_object(at: usize) -> String {
    format!("must hold objects; entry {at} is none")
}

/// The member that has an object's rows.
fn place_in(object: &Row) -> Option<&'static str> {
    let holds = |name: &&str| object.get(*name).is_some_and(|v| v.is_string() || v.is_array() || v.is_object());
    MEMBERS.into_iter().find(holds)
}

/// Reads CSV with a header. Numbers and `true`, `false` become what they are, nothing becomes null.
///
/// # Errors
/// With what is wrong, for people.
pub fn parse_csv(text: &str) -> Result<Frame, String> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let refused = |error: csv::Error| format!("is not CSV: {error}");
    let header: Vec<String> = reader.headers().map_err(refused)?.iter().map(str::to_owned).collect();
    if header.iter().all(|name| name.trim().is_empty()) {
        return Err("must begin with a line that names its columns".to_owned());
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(refused)?;
        rows.push(header.iter().cloned().zip(record.iter().map(typed)).collect());
    }
    Ok(Frame { columns: header, rows })
}

fn typed(text: &str) -> Value {
    match text.trim() {
        "" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        trimmed => numeric(trimmed).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

/// A number that is written as one: `007`, a telephone number and `1e5000` are texts.
fn numeric(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if padded || !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    // One of twenty digits is a name, of which a float would lose the last ones.
    let whole = digits.bytes().all(|b| b.is_ascii_digit());
    if whole { None } else { Number::from_f64(text.parse().ok()?) }
}

impl Frame {
    /// Of these rows; the columns in the order in which they appear.
    pub fn of(rows: Vec<Row>) -> Self {
        let mut seen = std::collections::HashSet::new();
        let columns = rows.iter().flat_map(Map::keys).filter(|name| seen.insert(name.as_str())).cloned().collect();
        Self { columns, rows }
    }

    /// Columns whose values are numbers, or missing, and not all missing.
    pub fn numeric_columns(&self) -> Vec<String> {
        let is_numeric = |name: &&String| {
            let values = self.rows.iter().filter_map(|row| row.get(*name));
            let mut values = values.filter(|value| !value.is_null()).peekable();
            values.peek().is_some() && values.all(Value::is_number)
        };
        self.columns.iter().filter(is_numeric).cloned().collect()
    }
}

/// Writes CSV with a header. What is no text, number or truth value is written as JSON.
///
/// # Errors
/// With what the writer says.
pub fn to_csv(Frame { columns, rows }: &Frame) -> Result<String, String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let refused = |error: csv::Error| error.to_string();
    if !columns.is_empty() {
        writer.write_record(columns).map_err(refused)?;
    }
    for row in rows {
        writer.write_record(columns.iter().map(|name| text_of(row.get(name)))).map_err(refused)?;
    }
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

/// A value as a cell shows it.
pub fn text_of(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The numbers of a column.
pub fn numbers<'a>(rows: &'a [Row], column: &'a str) -> impl Iterator<Item = f64> + 'a {
    rows.iter().filter_map(move |row| row.get(column).and_then(Value::as_f64))
}

/// A count as a number among others.
#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^52")]
pub fn float(n: usize) -> f64 {
    n as f64
}

/// What a column of numbers comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// How many there are.
    pub count: usize,
    /// Together.
    pub sum: f64,
    /// On average.
    pub mean: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The standard deviation of all of them.
    pub deviation: f64,
}

/// The figures of a column; `None` without numbers.
pub fn figures(values: impl Iterator<Item = f64>) -> Option<Figures> {
    let (mut count, mut mean, mut spread, mut sum) = (0_usize, 0.0, 0.0, 0.0);
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        count += 1;
        // Welford's method: one pass, no cancellation.
        let delta = value - mean;
        mean += delta / float(count);
        spread += delta * (value - mean);
        sum += value;
        (min, max) = (min.min(value), max.max(value));
    }
    (count > 0).then(|| Figures { count, sum, mean, min, max, deviation: (spread / float(count)).sqrt() })
}

/// A finite number as JSON; null for one that is not.
pub fn json_number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
