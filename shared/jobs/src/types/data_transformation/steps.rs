//! The steps.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, HashSet},
};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::types::rows::{Figures, Frame, Row, figures, json_number, numbers, text_of};

/// One step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "TransformationStep")]
pub enum Step {
    /// Keeps rows whose column compares so with the value.
    Filter {
        /// Which column.
        column: String,
        /// How.
        op: Comparison,
        /// With what; a list for `in`, nothing for `is_null` and `not_null`.
        #[serde(default)]
        value: Value,
    },
    /// Orders the rows by these columns; equal ones stay in their order. Nulls come last.
    Sort {
        /// The columns, the most important first.
        by: Vec<String>,
        /// The largest first.
        #[serde(default)]
        descending: bool,
    },
    /// Keeps these columns, in this order.
    Select {
        /// Which.
        columns: Vec<String>,
    },
    /// Leaves these columns out.
    Drop {
        /// Which.
        columns: Vec<String>,
    },
    /// Renames columns.
    Rename {
        /// From the old name to the new one.
        columns: BTreeMap<String, String>,
    },
    /// Makes the values of a column numbers, texts or truth values; null where that cannot be done.
    Convert {
        /// Which.
        column: String,
        /// Into what.
        to: Kind,
    },
    /// Puts a value where there is none.
    Fill {
        /// Which column.
        column: String,
        /// What.
        value: Value,
    },
    /// Keeps the first of rows that are alike in these columns, or in all.
    Deduplicate {
        /// Which.
        #[serde(default)]
        columns: Vec<String>,
    },
    /// Brings numbers of these columns, or of all that have numbers only, to one scale.
    Normalize {
        /// Which.
        #[serde(default)]
        columns: Vec<String>,
        /// To 0 to 1, or to a mean of 0 and a standard deviation of 1.
        #[serde(default)]
        method: Scale,
    },
    /// One row for each group, or for all rows, with the figures of columns as `<column>_<function>`.
    Aggregate {
        /// The columns that make a group.
        #[serde(default)]
        group_by: Vec<String>,
        /// What is computed of which column; sum, mean, min and max of every column of numbers when it is empty.
        #[serde(default)]
        columns: BTreeMap<String, Vec<Function>>,
    },
    /// Keeps the first rows.
    Limit {
        /// How many.
        count: usize,
    },
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Comparison")]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Contains,
    In,
    IsNull,
    NotNull,
}

/// Kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ValueKind")]
pub enum Kind {
    Number,
    Text,
    Boolean,
}

/// Scales.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "NormalizationMethod")]
pub enum Scale {
    /// The smallest is 0, the largest 1.
    #[default]
    MinMax,
    /// Standard deviations from the mean.
    ZScore,
}

/// What is computed of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AggregateFunction")]
pub enum Function {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    Deviation,
}

impl Function {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Deviation => "deviation",
        }
    }

    fn of(self, figures: Option<&Figures>) -> Value {
        match (self, figures) {
            (Self::Count, figures) => figures.map_or(0, |f| f.count).into(),
            (_, None) => Value::Null,
            (Self::Sum, Some(f)) => json_number(f.sum),
            (Self::Mean, Some(f)) => json_number(f.mean),
            (Self::Min, Some(f)) => json_number(f.min),
            (Self::Max, Some(f)) => json_number(f.max),
            (Self::Deviation, Some(f)) => json_number(f.deviation),
        }
    }
}

impl Step {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Filter { .. } => "filter",
            Self::Sort { .. } => "sort",
            Self::Select { .. } => "select",
            Self::Drop { .. } => "drop",
            Self::Rename { .. } => "rename",
            Self::Convert { .. } => "convert",
            Self::Fill { .. } => "fill",
            Self::Deduplicate { .. } => "deduplicate",
            Self::Normalize { .. } => "normalize",
            Self::Aggregate { .. } => "aggregate",
            Self::Limit { .. } => "limit",
        }
    }

    /// Rules that its type does not express.
    ///
    /// # Errors
    /// With the rule.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Filter { op: Comparison::In, value, .. } if !value.is_array() => {
                Err("compares with a list of values".to_owned())
            }
            Self::Filter { op, value, .. }
                if value.is_null()
                    && !matches!(op, Comparison::IsNull | Comparison::NotNull | Comparison::Eq | Comparison::Ne) =>
            {
                Err("needs a value to compare with".to_owned())
            }
            Self::Sort { by: names, .. } | Self::Select { columns: names } if names.is_empty() => {
                Err("must name a column".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Does it. A column that is not there is null everywhere.
    pub fn apply(self, mut frame: Frame) -> Frame {
        let rows = &mut frame.rows;
        match self {
            Self::Filter { column, op, value } => {
                rows.retain(|row| holds(row.get(&column).unwrap_or(&Value::Null), op, &value));
            }
            Self::Sort { by, descending } => rows.sort_by(|a, b| order_of(a, b, &by, descending)),
            Self::Select { columns } => {
                for row in rows {
                    let take = |name: &String| (name.clone(), row.get(name).cloned().unwrap_or_default());
                    *row = columns.iter().map(take).collect();
                }
                frame.columns = columns;
            }
            Self::Drop { columns } => {
                for row in rows {
                    row.retain(|name, _| !columns.contains(name));
                }
                frame.columns.retain(|name| !columns.contains(name));
            }
            Self::Rename { columns } => {
                for row in rows {
                    let renamed = |(name, value)| (columns.get(&name).cloned().unwrap_or(name), value);
                    *row = std::mem::take(row).into_iter().map(renamed).collect();
                }
                let renamed = |name: String| columns.get(&name).cloned().unwrap_or(name);
                let mut seen = HashSet::new();
                frame.columns = std::mem::take(&mut frame.columns).into_iter().map(renamed).collect();
                frame.columns.retain(|name| seen.insert(name.clone()));
            }
            Self::Convert { column, to } => {
                rows.iter_mut().filter_map(|row| row.get_mut(&column)).for_each(|value| *value = converted(value, to));
            }
            Self::Fill { column, value } => {
                for row in rows {
                    let here = row.entry(column.clone()).or_insert(Value::Null);
                    if here.is_null() {
                        *here = value.clone();
                    }
                }
                if !frame.columns.contains(&column) {
                    frame.columns.push(column);
                }
            }
            Self::Deduplicate { columns } => {
                let mut seen = HashSet::new();
                rows.retain(|row| seen.insert(identity(row, &columns)));
            }
            Self::Normalize { columns, method } => normalize(&mut frame, columns, method),
            Self::Aggregate { group_by, columns } => return aggregate(&frame, &group_by, columns),
            Self::Limit { count } => rows.truncate(count),
        }
        frame
    }
}

fn holds(value: &Value, op: Comparison, other: &Value) -> bool {
    let compared = || compare(value, other).filter(|_| !value.is_null());
    match op {
        Comparison::Eq => equal(value, other),
        Comparison::Ne => !equal(value, other),
        Comparison::Lt => compared() == Some(Ordering::Less),
        Comparison::Le => compared().is_some_and(Ordering::is_le),
        Comparison::Gt => compared() == Some(Ordering::Greater),
        Comparison::Ge => compared().is_some_and(Ordering::is_ge),
        Comparison::Contains => match value {
            Value::Array(items) => items.iter().any(|item| equal(item, other)),
            Value::Null => false,
            _ => text_of(Some(value)).contains(&text_of(Some(other))),
        },
        Comparison::In => other.as_array().is_some_and(|list| list.iter().any(|one| equal(value, one))),
        Comparison::IsNull => value.is_null(),
        Comparison::NotNull => !value.is_null(),
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    a == b || matches!((a, b), (Value::Number(_), Value::Number(_))) && compare(a, b) == Some(Ordering::Equal)
}

/// Numbers by size, texts by their characters; other kinds do not compare.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn order_of(a: &Row, b: &Row, by: &[String], descending: bool) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Bool(_) => 0,
        Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::Array(_) | Value::Object(_) => 3,
        Value::Null => 4,
    };
    for name in by {
        let (x, y) = (a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null));
        let ordering = match (x.is_null(), y.is_null()) {
            // Nulls are last, whichever way.
            (false, false) => {
                let ordering = rank(x).cmp(&rank(y)).then_with(|| compare(x, y).unwrap_or(Ordering::Equal));
                if descending { ordering.reverse() } else { ordering }
            }
            (x, y) => x.cmp(&y),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

fn converted(value: &Value, to: Kind) -> Value {
    let text = || text_of(Some(value)).trim().to_owned();
    match to {
        _ if value.is_null() => Value::Null,
        Kind::Text => Value::String(text_of(Some(value))),
        Kind::Number if value.is_number() => value.clone(),
        Kind::Number => {
            let whole = text().parse::<i64>().ok().map(Value::from);
            whole.or_else(|| text().parse().ok().map(json_number)).unwrap_or_default()
        }
        Kind::Boolean => match text().to_lowercase().as_str() {
            "true" | "1" | "yes" => Value::Bool(true),
            "false" | "0" | "no" => Value::Bool(false),
            _ => Value::Null,
        },
    }
}

/// What makes two rows alike.
fn identity(row: &Row, columns: &[String]) -> String {
    if columns.is_empty() {
        let sorted: BTreeMap<&String, &Value> = row.iter().collect();
        return serde_json::to_string(&sorted).unwrap_or_default();
    }
    let values: Vec<Option<&Value>> = columns.iter().map(|name| row.get(name)).collect();
    serde_json::to_string(&values).unwrap_or_default()
}

fn normalize(frame: &mut Frame, chosen: Vec<String>, method: Scale) {
    let chosen = if chosen.is_empty() { frame.numeric_columns() } else { chosen };
    for name in chosen {
        let Some(figures) = figures(numbers(&frame.rows, &name)) else { continue };
        let (from, width) = match method {
            Scale::MinMax => (figures.min, figures.max - figures.min),
            Scale::ZScore => (figures.mean, figures.deviation),
        };
        for value in frame.rows.iter_mut().filter_map(|row| row.get_mut(&name)) {
            if let Some(number) = value.as_f64() {
                // All are the same: there is nothing to tell apart.
                *value = json_number(if width > 0.0 { (number - from) / width } else { 0.0 });
            }
        }
    }
}

fn aggregate(frame: &Frame, group_by: &[String], mut wanted: BTreeMap<String, Vec<Function>>) -> Frame {
    if wanted.is_empty() {
        let usual = [Function::Sum, Function::Mean, Function::Min, Function::Max];
        let measured = frame.numeric_columns().into_iter().filter(|name| !group_by.contains(name));
        wanted = measured.map(|name| (name, usual.to_vec())).collect();
    }
    // In the order of the columns, not of the alphabet.
    let mut order: Vec<(&String, &Vec<Function>)> = wanted.iter().collect();
    order.sort_by_key(|(name, _)| frame.columns.iter().position(|column| column == *name).unwrap_or(usize::MAX));
    let mut columns = group_by.to_vec();
    columns.push("row_count".to_owned());
    let named = |name: &String, function: Function| format!("{name}_{}", function.name());
    columns.extend(order.iter().flat_map(|(name, functions)| functions.iter().map(|f| named(name, *f))));
    let mut rows = Vec::new();
    for group in groups(&frame.rows, group_by) {
        let mut row = Row::new();
        for name in group_by {
            let value = group.first().and_then(|first| first.get(name)).cloned().unwrap_or_default();
            row.insert(name.clone(), value);
        }
        row.insert("row_count".to_owned(), group.len().into());
        for (name, functions) in &order {
            let figures = figures(group.iter().filter_map(|row| row.get(*name)).filter_map(Value::as_f64));
            for function in *functions {
                row.insert(named(name, *function), function.of(figures.as_ref()));
            }
        }
        rows.push(row);
    }
    Frame { columns, rows }
}

/// The groups, in the order in which they appear; all rows are one when nothing tells them apart.
fn groups<'a>(rows: &'a [Row], by: &[String]) -> Vec<Vec<&'a Row>> {
    if by.is_empty() {
        return vec![rows.iter().collect()];
    }
    let (mut groups, mut places): (Vec<Vec<&Row>>, HashMap<String, usize>) = (Vec::new(), HashMap::new());
    for row in rows {
        let at = *places.entry(identity(row, by)).or_insert(groups.len());
        if at == groups.len() {
            groups.push(Vec::new());
        }
        groups[at].push(row);
    }
    groups
}
