//! `machine_learning_training`: trains a small model on rows, epoch by epoch, and can be interrupted after any of them.

mod network;
mod samples;
mod training;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use samples::{Purpose, Samples};
pub use training::{Saved, Training};

use super::{
    blocking,
    rows::{Table, float, json_number},
};
use crate::{
    context::TaskContext,
    input::{InputError, InvalidInput},
    log::LogLevel,
    task::{Task, TaskFailure},
};

/// The task type `machine_learning_training`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineLearningTraining;

/// A kind of model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelType {
    /// A number from numbers, by weights.
    LinearRegression,
    /// One of two classes, by weights.
    LogisticRegression,
    /// Either, by one hidden layer between.
    NeuralNetwork,
}

/// How it learns. Other fields are tolerated and ignored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Hyperparameters {
    /// How far a step goes.
    #[schemars(range(min = 0.000_001, max = 10.0))]
    pub learning_rate: f64,
    /// Rows of a step.
    #[schemars(range(min = 1, max = 100_000))]
    pub batch_size: usize,
    /// Passes over all rows.
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: u32,
    /// The share of the hidden layer that each step leaves out.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub dropout_rate: f64,
    /// Neurons of the hidden layer.
    #[schemars(range(min = 1, max = 256))]
    pub hidden_units: usize,
    /// How strongly large weights are pulled back.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub l2: f64,
    /// Where randomness begins: the same seed trains the same model.
    pub seed: u32,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self { learning_rate: 0.05, batch_size: 32, epochs: 100, dropout_rate: 0.0, hidden_units: 8, l2: 0.0, seed: 1 }
    }
}

/// What is learned, from what. Other fields are tolerated and ignored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "MachineLearningTrainingInput")]
pub struct Input {
    /// The kind of model.
    pub model_type: ModelType,
    /// The rows themselves: no file can be read here. Without them those of the step before (`input`).
    #[serde(default)]
    pub dataset: Option<Table>,
    /// What the step before returned.
    #[serde(default)]
    pub input: Option<Table>,
    /// The column that is learned; the last one when it is not given.
    #[serde(default)]
    pub target: Option<String>,
    /// The columns that it is learned from; all others with numbers only when none are given.
    #[serde(default)]
    pub features: Vec<String>,
    /// How it learns.
    #[serde(default)]
    pub hyperparameters: Hyperparameters,
    /// The share of rows that are kept back, to see what the model makes of rows that it does not know.
    #[serde(default = "a_fifth")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub validation_split: f64,
    /// Whether to end when the model gets no better on the rows that were kept back.
    #[serde(default)]
    pub early_stopping: bool,
    /// Epochs without an improvement after which it does.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1_000))]
    pub patience: u32,
}

fn a_fifth() -> f64 {
    0.2
}

fn ten() -> u32 {
    10
}

/// The model, and how good it is.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    model_type: ModelType,
    /// `classification` or `regression`.
    purpose: Purpose,
    target: String,
    /// The two classes, the one that the model says 0 to first; empty for a number.
    classes: Vec<String>,
    rows: Rows,
    epochs_run: u32,
    stopped_early: bool,
    /// On the rows that it learned from, in the last epoch.
    training_loss: Value,
    /// On the rows that were kept back, by the model that is given back.
    validation_loss: Value,
    /// The share of them that it gets right; null for a number.
    validation_accuracy: Value,
    /// The share of their variance that it explains; null for classes.
    validation_r_squared: Value,
    /// Of the last hundred epochs.
    loss_history: Vec<Value>,
    /// Scaling and weights.
    model: Value,
}

#[derive(Debug, Clone, Serialize)]
struct Rows {
    training: usize,
    validation: usize,
    /// Without a value in a column that is needed.
    dropped: usize,
}

impl Task for MachineLearningTraining {
    const TYPE: &'static str = "machine_learning_training";
    const DESCRIPTION: &'static str =
        "Trains a linear or logistic regression or a small neural network on rows, by gradient descent.";
    const LONG: bool = true;
    type Input = Input;
    type Output = Output;

    fn check(input: &Input) -> Result<(), InvalidInput> {
        let mut errors = Vec::new();
        let mut within = |holds: bool, pointer: &str, rule: &str| {
            if !holds {
                errors.push(InputError::new(pointer, "out_of_range", format!("must be between {rule}")));
            }
        };
        let hyper = &input.hyperparameters;
        within((0.000_001..=10.0).contains(&hyper.learning_rate), "/hyperparameters/learning_rate", "0.000001 and 10");
        within((1..=100_000).contains(&hyper.batch_size), "/hyperparameters/batch_size", "1 and 100000");
        within((1..=100_000).contains(&hyper.epochs), "/hyperparameters/epochs", "1 and 100000");
        within((0.0..=0.9).contains(&hyper.dropout_rate), "/hyperparameters/dropout_rate", "0 and 0.9");
        within((1..=256).contains(&hyper.hidden_units), "/hyperparameters/hidden_units", "1 and 256");
        within((0.0..=10.0).contains(&hyper.l2), "/hyperparameters/l2", "0 and 10");
        within((0.0..=0.5).contains(&input.validation_split), "/validation_split", "0 and 0.5");
        within((1..=1_000).contains(&input.patience), "/patience", "1 and 1000");
        for (pointer, table) in [("/dataset", &input.dataset), ("/input", &input.input)] {
            let Some(table) = table else { continue };
            if pointer == "/dataset" && table.name().is_some() {
                let rule = "names a file, and none can be read here; give the rows, as CSV text or a list of objects";
                errors.push(InputError::new(pointer, "no_such_dataset", rule));
                continue;
            }
            if let Err(why) = Samples::of(table, input) {
                errors.push(InputError::new(pointer, "invalid_value", why));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(InvalidInput(errors)) }
    }

    async fn run(&self, input: Input, context: TaskContext) -> Result<Output, TaskFailure> {
        let Some(table) = input.dataset.clone().or_else(|| input.input.clone()) else {
            let why = "there are no rows: neither dataset nor input of an earlier step was given";
            return Err(TaskFailure::permanent("no_rows", why));
        };
        let prepared = input.clone();
        let samples = blocking(move || {
            Samples::of(&table, &prepared)
                .map_err(|why| TaskFailure::permanent("invalid_rows", format!("the rows: {why}")))
        });
        let samples = samples.await?;
        let saved = context.resume_from::<Saved>();
        if let Some(saved) = &saved {
            context.log(LogLevel::Info, format!("goes on after epoch {}", saved.epoch));
        }
        let mut training = Training::new(samples, &input, saved);
        while !training.is_over() {
            if context.is_cancelled() {
                return Err(TaskFailure::cancelled());
            }
            let (back, more) = blocking(move || {
                let more = training.piece();
                Ok((training, more))
            })
            .await?;
            training = back;
            if !more {
                end_epoch(&mut training, &context)?;
            }
        }
        Ok(output_of(&training, &input))
    }
}

/// Epochs between two lines of the log: a hundred lines, whatever the number of epochs.
fn told_every(epochs: u32) -> u32 {
    epochs.div_ceil(100).max(1)
}

fn end_epoch(training: &mut Training, context: &TaskContext) -> Result<(), TaskFailure> {
    training.end_epoch();
    let (saved, total) = (training.saved(), training.epochs());
    if !saved.loss.is_finite() {
        let why = format!("the loss is no number any more after epoch {}: learn more slowly", saved.epoch);
        return Err(TaskFailure::permanent("diverged", why));
    }
    context.checkpoint(saved).map_err(|error| TaskFailure::permanent("checkpoint", error.to_string()))?;
    if saved.epoch % told_every(total) == 0 || training.is_over() {
        context.log(LogLevel::Info, format!("Epoch {}/{total}, Loss: {:.4}", saved.epoch, saved.loss));
    }
    let extra = [
        ("current_epoch", json!(saved.epoch)),
        ("total_epochs", json!(total)),
        ("current_loss", json_number(saved.loss)),
        ("validation_loss", json_number(saved.validation.loss)),
        ("validation_accuracy", saved.validation.accuracy.map_or(Value::Null, json_number)),
        ("message", json!(format!("Training progress: Epoch {}/{total}, Loss: {:.3}", saved.epoch, saved.loss))),
    ];
    let extra: Map<String, Value> = extra.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    context.progress(f64::from(saved.epoch) / f64::from(total) * 100.0, extra);
    Ok(())
}

fn output_of(training: &Training, input: &Input) -> Output {
    let (samples, saved) = (training.samples(), training.saved());
    let best = training.best();
    Output {
        model_type: input.model_type,
        purpose: samples.purpose,
        target: samples.target.clone(),
        classes: samples.classes.clone(),
        rows: Rows { training: samples.training.len(), validation: samples.validation.len(), dropped: samples.dropped },
        epochs_run: saved.epoch,
        stopped_early: saved.epoch < training.epochs(),
        training_loss: json_number(saved.loss),
        validation_loss: json_number(best.loss),
        validation_accuracy: best.accuracy.map_or(Value::Null, json_number),
        validation_r_squared: best.r_squared.map_or(Value::Null, json_number),
        loss_history: saved.history.iter().map(|loss| json_number((loss * 1e6).round() / 1e6)).collect(),
        model: json!({
            "features": samples.features,
            "means": samples.means,
            "deviations": samples.deviations,
            "target_mean": samples.target_scale.0,
            "target_deviation": samples.target_scale.1,
            "layers": training.model(),
        }),
    }
}

/// The mean of some numbers; 0 without any.
fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0_usize), |(sum, count), n| (sum + n, count + 1));
    if count == 0 { 0.0 } else { sum / float(count) }
}
