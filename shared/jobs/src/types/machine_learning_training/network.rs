//! The model: weights, with or without a hidden layer between.

use halyard_domain::Entropy;
use serde::{Deserialize, Serialize};

use super::{
    Hyperparameters, ModelType, mean,
    samples::{Purpose, Sample},
};
use crate::types::rows::float;

/// Neurons that all see the same numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// For each neuron a weight for each number.
    weights: Vec<Vec<f64>>,
    /// For each neuron.
    biases: Vec<f64>,
}

impl Layer {
    /// Small random weights (Glorot).
    fn random(inputs: usize, neurons: usize, entropy: &Entropy) -> Self {
        let bound = (6.0 / float(inputs + neurons)).sqrt();
        let weight = |_| (entropy.unit() * 2.0 - 1.0) * bound;
        let weights = (0..neurons).map(|_| (0..inputs).map(weight).collect()).collect();
        Self { weights, biases: vec![0.0; neurons] }
    }

    fn of(&self, numbers: &[f64]) -> Vec<f64> {
        let neuron = |(weights, bias): (&Vec<f64>, &f64)| {
            weights.iter().zip(numbers).fold(*bias, |sum, (weight, number)| weight.mul_add(*number, sum))
        };
        self.weights.iter().zip(&self.biases).map(neuron).collect()
    }

    fn like(&self) -> Self {
        let weights = self.weights.iter().map(|weights| vec![0.0; weights.len()]).collect();
        Self { weights, biases: vec![0.0; self.biases.len()] }
    }

    /// Adds what one row would have it changed by.
    fn add(&mut self, slopes: &[f64], numbers: &[f64]) {
        for ((weights, bias), slope) in self.weights.iter_mut().zip(&mut self.biases).zip(slopes) {
            *bias += slope;
            for (weight, number) in weights.iter_mut().zip(numbers) {
                *weight = slope.mul_add(*number, *weight);
            }
        }
    }

    fn step(&mut self, change: &Self, rate: f64, l2: f64) {
        for (weights, changes) in self.weights.iter_mut().zip(&change.weights) {
            for (weight, change) in weights.iter_mut().zip(changes) {
                *weight -= rate * (change + l2 * *weight);
            }
        }
        for (bias, change) in self.biases.iter_mut().zip(&change.biases) {
            *bias -= rate * change;
        }
    }
}

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    hidden: Option<Layer>,
    output: Layer,
}

/// How good a model is on some rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Cross entropy, or the squared error of scaled numbers; on average.
    pub loss: f64,
    /// The share that it gets right.
    pub accuracy: Option<f64>,
    /// The share of the variance that it explains.
    pub r_squared: Option<f64>,
}

impl Network {
    /// A model that knows nothing.
    pub fn new(model: ModelType, features: usize, hyper: &Hyperparameters, entropy: &Entropy) -> Self {
        let hidden = (model == ModelType::NeuralNetwork).then(|| Layer::random(features, hyper.hidden_units, entropy));
        let inputs = hidden.as_ref().map_or(features, |_| hyper.hidden_units);
        Self { hidden, output: Layer::random(inputs, 1, entropy) }
    }

    /// Learns from one batch; gives the sum of the losses before it did.
    pub fn learn(&mut self, batch: &[&Sample], purpose: Purpose, hyper: &Hyperparameters, entropy: &Entropy) -> f64 {
        let mut change = Self { hidden: self.hidden.as_ref().map(Layer::like), output: self.output.like() };
        let mut losses = 0.0;
        for sample in batch {
            // What is kept is scaled up, so that nothing is to be done when the model is used ("inverted dropout").
            let kept: Vec<f64> = match &self.hidden {
                Some(hidden) if hyper.dropout_rate > 0.0 => hidden
                    .biases
                    .iter()
                    .map(|_| if entropy.unit() < hyper.dropout_rate { 0.0 } else { 1.0 / (1.0 - hyper.dropout_rate) })
                    .collect(),
                _ => Vec::new(),
            };
            let inner = self.inner(&sample.known, &kept);
            let seen = inner.as_deref().unwrap_or(&sample.known);
            let said = answer(self.output.of(seen)[0], purpose);
            losses += loss(said, sample.wanted, purpose);
            // The slope of cross entropy over a sigmoid, and half of that of a squared error.
            let slope = said - sample.wanted;
            change.output.add(&[slope], seen);
            if let (Some(inner), Some(changes)) = (&inner, &mut change.hidden) {
                let slopes: Vec<f64> = inner
                    .iter()
                    .enumerate()
                    .map(|(at, value)| {
                        let scale = kept.get(at).copied().unwrap_or(1.0);
                        let activation = if scale > 0.0 { value / scale } else { 0.0 };
                        slope * self.output.weights[0][at] * scale * (1.0 - activation * activation)
                    })
                    .collect();
                changes.add(&slopes, &sample.known);
            }
        }
        let rate = hyper.learning_rate / float(batch.len().max(1));
        let l2 = hyper.l2 * float(batch.len());
        self.output.step(&change.output, rate, l2);
        if let (Some(hidden), Some(change)) = (&mut self.hidden, &change.hidden) {
            hidden.step(change, rate, l2);
        }
        losses
    }

    fn inner(&self, known: &[f64], kept: &[f64]) -> Option<Vec<f64>> {
        let mut inner = self.hidden.as_ref()?.of(known);
        for (at, value) in inner.iter_mut().enumerate() {
            *value = value.tanh() * kept.get(at).copied().unwrap_or(1.0);
        }
        Some(inner)
    }

    /// What it says of a row.
    pub fn says(&self, known: &[f64], purpose: Purpose) -> f64 {
        let inner = self.inner(known, &[]);
        answer(self.output.of(inner.as_deref().unwrap_or(known))[0], purpose)
    }

    /// How good it is on these rows.
    pub fn quality(&self, samples: &[Sample], purpose: Purpose) -> Quality {
        if samples.is_empty() {
            return Quality { loss: f64::NAN, accuracy: None, r_squared: None };
        }
        let said: Vec<f64> = samples.iter().map(|sample| self.says(&sample.known, purpose)).collect();
        let pairs = || said.iter().zip(samples);
        let loss = mean(pairs().map(|(said, sample)| loss(*said, sample.wanted, purpose)));
        match purpose {
            Purpose::Classification => {
                let right = pairs().filter(|(said, sample)| (**said >= 0.5) == (sample.wanted >= 0.5)).count();
                Quality { loss, accuracy: Some(float(right) / float(samples.len())), r_squared: None }
            }
            Purpose::Regression => {
                let middle = mean(samples.iter().map(|sample| sample.wanted));
                let variance = mean(samples.iter().map(|sample| (sample.wanted - middle).powi(2)));
                let r_squared = (variance > 0.0).then(|| 1.0 - loss / variance);
                Quality { loss, accuracy: None, r_squared }
            }
        }
    }
}

fn answer(sum: f64, purpose: Purpose) -> f64 {
    match purpose {
        Purpose::Classification => 1.0 / (1.0 + (-sum).exp()),
        Purpose::Regression => sum,
    }
}

fn loss(said: f64, wanted: f64, purpose: Purpose) -> f64 {
    match purpose {
        Purpose::Classification => {
            // A wrong answer that is certain would cost infinitely much.
            let said = said.clamp(1e-12, 1.0 - 1e-12);
            -(wanted * said.ln() + (1.0 - wanted) * (1.0 - said).ln())
        }
        Purpose::Regression => (said - wanted).powi(2),
    }
}
