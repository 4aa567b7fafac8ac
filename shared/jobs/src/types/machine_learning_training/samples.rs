//! Rows as the model sees them.

use halyard_domain::Entropy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Input, ModelType};
use crate::types::rows::{Table, figures, text_of};

/// What is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// One of two classes.
    Classification,
    /// A number.
    Regression,
}

/// A row: what is known, scaled, and what is learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub known: Vec<f64>,
    pub wanted: f64,
}

/// All rows, those that are learned from and those that are kept back.
#[derive(Debug, Clone)]
pub struct Samples {
    pub purpose: Purpose,
    pub target: String,
    pub features: Vec<String>,
    pub classes: Vec<String>,
    pub training: Vec<Sample>,
    pub validation: Vec<Sample>,
    pub dropped: usize,
    /// Of each feature, over the rows that are learned from.
    pub means: Vec<f64>,
    pub deviations: Vec<f64>,
    /// Mean and deviation of a number that is learned; 0 and 1 for classes.
    pub target_scale: (f64, f64),
}

/// The fewest rows.
const FEWEST: usize = 4;

impl Samples {
    /// Divides and scales the rows.
    ///
    /// # Errors
    /// With what is missing, for people.
    pub fn of(table: &Table, input: &Input) -> Result<Self, String> {
        let frame = table.frame()?;
        let target = input.target.clone().or_else(|| frame.columns.last().cloned()).ok_or("has no columns")?;
        if !frame.columns.contains(&target) {
            return Err(format!("has no column {target:?} to learn"));
        }
        let features = if input.features.is_empty() {
            frame.numeric_columns().into_iter().filter(|name| *name != target).collect()
        } else {
            input.features.clone()
        };
        if features.is_empty() {
            return Err("has no column of numbers to learn from".to_owned());
        }
        let mut rows: Vec<(Vec<f64>, &Value)> = Vec::with_capacity(frame.rows.len());
        for row in &frame.rows {
            let known = features.iter().map(|name| row.get(name).and_then(Value::as_f64)).collect::<Option<Vec<_>>>();
            let wanted = row.get(&target).filter(|value| !value.is_null());
            rows.extend(known.zip(wanted));
        }
        let dropped = frame.rows.len() - rows.len();
        if rows.len() < FEWEST {
            return Err(format!("has {} whole rows; {FEWEST} are needed", rows.len()));
        }
        let (purpose, classes) = purpose(&rows, input.model_type)?;
        let number = |value: &Value| match purpose {
            Purpose::Regression => value.as_f64().unwrap_or_default(),
            Purpose::Classification => f64::from(u8::from(Some(&text_of(Some(value))) == classes.get(1))),
        };
        let mut all: Vec<Sample> =
            rows.into_iter().map(|(known, value)| Sample { known, wanted: number(value) }).collect();
        shuffle(&mut all, &Entropy::seeded(input.hyperparameters.seed.into()));
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let kept_back = ((all.len() as f64 * input.validation_split).round() as usize).min(all.len() - 2);
        let validation = all.split_off(all.len() - kept_back);
        let mut samples = Self {
            purpose,
            target,
            means: vec![0.0; features.len()],
            deviations: vec![1.0; features.len()],
            features,
            classes,
            training: all,
            validation,
            dropped,
            target_scale: (0.0, 1.0),
        };
        samples.scale();
        Ok(samples)
    }

    /// To a mean of 0 and a deviation of 1, as the rows that are learned from have it.
    fn scale(&mut self) {
        let scale_of = |numbers: &mut dyn Iterator<Item = f64>| {
            let found = figures(numbers).map(|f| (f.mean, f.deviation));
            found.map_or((0.0, 1.0), |(mean, deviation)| (mean, if deviation > 0.0 { deviation } else { 1.0 }))
        };
        for at in 0..self.features.len() {
            (self.means[at], self.deviations[at]) = scale_of(&mut self.training.iter().map(|s| s.known[at]));
        }
        if self.purpose == Purpose::Regression {
            self.target_scale = scale_of(&mut self.training.iter().map(|s| s.wanted));
        }
        for sample in self.training.iter_mut().chain(&mut self.validation) {
            let scales = self.means.iter().zip(&self.deviations);
            for (number, (mean, deviation)) in sample.known.iter_mut().zip(scales) {
                *number = (*number - mean) / deviation;
            }
            sample.wanted = (sample.wanted - self.target_scale.0) / self.target_scale.1;
        }
    }
}

/// Two classes are told apart; numbers are foretold.
fn purpose(rows: &[(Vec<f64>, &Value)], model: ModelType) -> Result<(Purpose, Vec<String>), String> {
    let mut classes: Vec<String> = Vec::new();
    for (_, value) in rows {
        let text = text_of(Some(value));
        if !classes.contains(&text) {
            classes.push(text);
        }
        if classes.len() > 2 {
            break;
        }
    }
    classes.sort();
    let numbers = rows.iter().all(|(_, value)| value.is_number());
    match model {
        ModelType::LinearRegression if numbers => Ok((Purpose::Regression, Vec::new())),
        ModelType::LinearRegression => Err("must have numbers in the column that is learned".to_owned()),
        _ if classes.len() == 2 => Ok((Purpose::Classification, classes)),
        ModelType::NeuralNetwork if numbers => Ok((Purpose::Regression, Vec::new())),
        _ => Err("must have exactly two different values in the column that is learned".to_owned()),
    }
}

/// Fisher and Yates.
pub fn shuffle<T>(items: &mut [T], entropy: &Entropy) {
    for at in (1..items.len()).rev() {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let other = (entropy.unit() * (at + 1) as f64) as usize;
        items.swap(at, other.min(at));
    }
}
