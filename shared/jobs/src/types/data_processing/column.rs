//! One column of the profile.

use chrono::{NaiveDateTime, NaiveTime};
use serde_json::{Number, Value as Json};

use super::{
    distinct::{Distinct, shown},
    numbers::Numbers,
    output::{ColumnProfile, ColumnType},
    value::{Value, classify},
};

#[derive(Debug, Default)]
struct Kinds {
    integers: u64,
    floats: u64,
    booleans: u64,
    dates: u64,
    date_times: u64,
    times: u64,
    texts: u64,
}

/// What has been seen of a column so far.
#[derive(Debug)]
pub struct Column {
    name: String,
    kinds: Kinds,
    nulls: u64,
    distinct: Distinct,
    numbers: Numbers,
    integers: Option<(i64, i64)>,
    moments: Option<(NaiveDateTime, NaiveDateTime)>,
    times: Option<(NaiveTime, NaiveTime)>,
    booleans: Option<(bool, bool)>,
    texts: Option<(Box<str>, Box<str>)>,
}

impl Column {
    pub fn new(name: &str, index: usize) -> Self {
        let name = name.trim();
        let name = if name.is_empty() { format!("column_{}", index + 1) } else { name.to_owned() };
        Self {
            name,
            kinds: Kinds::default(),
            nulls: 0,
            distinct: Distinct::default(),
            numbers: Numbers::default(),
            integers: None,
            moments: None,
            times: None,
            booleans: None,
            texts: None,
        }
    }

    pub fn add(&mut self, field: &str) {
        let value = classify(field);
        if value == Value::Null {
            self.nulls += 1;
            return;
        }
        let text = field.trim();
        self.distinct.add(text);
        widen_text(&mut self.texts, text);
        match value {
            Value::Null => {}
            Value::Integer(n) => {
                self.kinds.integers += 1;
                widen(&mut self.integers, n);
                #[expect(clippy::cast_precision_loss, reason = "means and quantiles are doubles")]
                self.number(n as f64);
            }
            Value::Float(x) => {
                self.kinds.floats += 1;
                self.number(x);
            }
            Value::Boolean(b) => {
                self.kinds.booleans += 1;
                widen(&mut self.booleans, b);
            }
            Value::Date(date) => {
                self.kinds.dates += 1;
                widen(&mut self.moments, date.and_time(NaiveTime::MIN));
            }
            Value::DateTime(moment) => {
                self.kinds.date_times += 1;
                widen(&mut self.moments, moment);
            }
            Value::Time(time) => {
                self.kinds.times += 1;
                widen(&mut self.times, time);
            }
            Value::Text(_) => {
                if self.kinds.texts == 0 {
                    // A column with one text is a column of texts: its numbers will never be asked for.
                    self.numbers = Numbers::default();
                }
                self.kinds.texts += 1;
            }
        }
    }

    fn number(&mut self, x: f64) {
        if self.kinds.texts == 0 {
            self.numbers.add(x);
        }
    }

    fn column_type(&self) -> ColumnType {
        let k = &self.kinds;
        let kinds = [k.integers + k.floats, k.booleans, k.dates + k.date_times, k.times, k.texts];
        match kinds.map(|n| n > 0) {
            [false, false, false, false, false] => ColumnType::Empty,
            [true, false, false, false, false] if k.floats == 0 => ColumnType::Integer,
            [true, false, false, false, false] => ColumnType::Float,
            [false, true, false, false, false] => ColumnType::Boolean,
            [false, false, true, false, false] if k.date_times == 0 => ColumnType::Date,
            [false, false, true, false, false] => ColumnType::DateTime,
            [false, false, false, true, false] => ColumnType::Time,
            _ => ColumnType::Text,
        }
    }

    fn range(&self, column_type: ColumnType) -> (Json, Json) {
        let float = |x: f64| Number::from_f64(x).map_or(Json::Null, Json::Number);
        match column_type {
            ColumnType::Integer => both(self.integers.as_ref(), |&n| n.into()),
            ColumnType::Float => (float(self.numbers.min), float(self.numbers.max)),
            ColumnType::Boolean => both(self.booleans.as_ref(), |&b| b.into()),
            ColumnType::Date => both(self.moments.as_ref(), |t| t.date().to_string().into()),
            ColumnType::DateTime => {
                both(self.moments.as_ref(), |t| t.format("%Y-%m-%dT%H:%M:%S%.f").to_string().into())
            }
            ColumnType::Time => both(self.times.as_ref(), |t| t.to_string().into()),
            ColumnType::Text => both(self.texts.as_ref(), |text| shown(text).into()),
            ColumnType::Empty => (Json::Null, Json::Null),
        }
    }

    /// The profile, with the `top` most frequent values.
    pub fn finish(self, top: usize) -> ColumnProfile {
        let column_type = self.column_type();
        let (min, max) = self.range(column_type);
        let numeric = matches!(column_type, ColumnType::Integer | ColumnType::Float);
        let k = &self.kinds;
        let count = k.integers + k.floats + k.booleans + k.dates + k.date_times + k.times + k.texts;
        let (distinct, distinct_exact) = self.distinct.count();
        let (top_values, top_values_error) = self.distinct.top(top);
        ColumnProfile {
            name: self.name,
            column_type,
            count,
            nulls: self.nulls,
            distinct,
            distinct_exact,
            min,
            max,
            mean: self.numbers.mean().filter(|_| numeric),
            stddev: self.numbers.stddev().filter(|_| numeric),
            quantiles: if numeric { self.numbers.quantiles() } else { None },
            top_values,
            top_values_error,
        }
    }
}

fn both<T>(range: Option<&(T, T)>, show: impl Fn(&T) -> Json) -> (Json, Json) {
    range.map_or((Json::Null, Json::Null), |(low, high)| (show(low), show(high)))
}

fn widen<T: PartialOrd + Copy>(range: &mut Option<(T, T)>, value: T) {
    let (low, high) = range.get_or_insert((value, value));
    if value < *low {
        *low = value;
    } else if value > *high {
        *high = value;
    }
}

fn widen_text(range: &mut Option<(Box<str>, Box<str>)>, text: &str) {
    match range {
        None => *range = Some((text.into(), text.into())),
        Some((low, _)) if text < &**low => *low = text.into(),
        Some((_, high)) if text > &**high => *high = text.into(),
        Some(_) => {}
    }
}
