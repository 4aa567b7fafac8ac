//! The course of a training. Randomness of an epoch follows from the seed and the epoch's number, so that a training that
//! goes on after an interruption is the one that would have been, but for the last digits of its numbers.

use halyard_domain::Entropy;
use serde::{Deserialize, Serialize};

use super::{
    Hyperparameters, Input, Samples,
    network::{Network, Quality},
    samples::shuffle,
};
use crate::types::rows::float;

/// Multiplications that one piece of work takes on: some milliseconds.
const PIECE: usize = 2_000_000;
/// Epochs whose loss is told.
const HISTORY: usize = 100;

/// What a later attempt needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Epochs that are over.
    pub epoch: u32,
    /// Of the last one.
    pub loss: f64,
    /// After the last one.
    pub validation: Quality,
    /// Of the last hundred.
    pub history: Vec<f64>,
    model: Network,
    best: Option<(Quality, Network)>,
    /// Epochs since the best one.
    stale: u32,
}

/// A training under way.
#[derive(Debug)]
pub struct Training {
    samples: Samples,
    hyper: Hyperparameters,
    /// Epochs without an improvement after which it ends.
    patience: Option<u32>,
    saved: Saved,
    /// The order of the rows in this epoch, and how many have been seen.
    order: Vec<usize>,
    seen: usize,
    losses: f64,
    entropy: Entropy,
}

impl Training {
    /// Begins, or goes on.
    pub fn new(samples: Samples, input: &Input, saved: Option<Saved>) -> Self {
        let hyper = input.hyperparameters.clone();
        let first = || Saved {
            epoch: 0,
            loss: 0.0,
            validation: Quality::default(),
            history: Vec::new(),
            model: Network::new(input.model_type, samples.features.len(), &hyper, &random(&hyper, 0)),
            best: None,
            stale: 0,
        };
        let saved = saved.unwrap_or_else(first);
        let patience = input.early_stopping.then_some(input.patience);
        let entropy = random(&hyper, saved.epoch + 1);
        let mut training = Self { samples, hyper, patience, saved, order: Vec::new(), seen: 0, losses: 0.0, entropy };
        training.begin_epoch();
        training
    }

    /// All epochs, if it is not ended before.
    pub fn epochs(&self) -> u32 {
        self.hyper.epochs
    }

    /// Is there nothing more to do?
    pub fn is_over(&self) -> bool {
        let stale = self.patience.is_some_and(|patience| self.saved.stale >= patience);
        self.saved.epoch >= self.hyper.epochs || stale
    }

    fn begin_epoch(&mut self) {
        self.entropy = random(&self.hyper, self.saved.epoch + 1);
        self.order = (0..self.samples.training.len()).collect();
        shuffle(&mut self.order, &self.entropy);
        (self.seen, self.losses) = (0, 0.0);
    }

    /// Learns for some milliseconds; whether the epoch has more.
    pub fn piece(&mut self) -> bool {
        let hidden = self.hyper.hidden_units;
        let cost = 4 * (self.samples.features.len() + 1) * hidden;
        let mut left = (PIECE / cost).max(1);
        while left > 0 && self.seen < self.order.len() {
            let end = (self.seen + self.hyper.batch_size).min(self.order.len());
            let batch: Vec<_> = self.order[self.seen..end].iter().map(|at| &self.samples.training[*at]).collect();
            left = left.saturating_sub(batch.len());
            self.losses += self.saved.model.learn(&batch, self.samples.purpose, &self.hyper, &self.entropy);
            self.seen = end;
        }
        self.seen < self.order.len()
    }

    /// Ends the epoch whose rows have all been seen, and begins the next.
    pub fn end_epoch(&mut self) {
        let purpose = self.samples.purpose;
        let saved = &mut self.saved;
        saved.epoch += 1;
        saved.loss = self.losses / float(self.order.len().max(1));
        saved.history.push(saved.loss);
        if saved.history.len() > HISTORY {
            saved.history.remove(0);
        }
        saved.validation = saved.model.quality(&self.samples.validation, purpose);
        // Without rows that were kept back, those that it learned from have to do.
        let measure = |quality: &Quality, loss: f64| if quality.loss.is_finite() { quality.loss } else { loss };
        let now = Quality { loss: measure(&saved.validation, saved.loss), ..saved.validation };
        if saved.best.as_ref().is_none_or(|(best, _)| now.loss < best.loss) {
            saved.best = Some((now, saved.model.clone()));
            saved.stale = 0;
        } else {
            saved.stale += 1;
        }
        self.begin_epoch();
    }

    /// What a later attempt needs.
    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    /// The rows.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// The best model so far when it may end early, else the last.
    pub fn model(&self) -> &Network {
        match (&self.saved.best, self.patience) {
            (Some((_, model)), Some(_)) => model,
            _ => &self.saved.model,
        }
    }

    /// How good that model is.
    pub fn best(&self) -> Quality {
        match (&self.saved.best, self.patience) {
            (Some((quality, _)), Some(_)) => *quality,
            _ => self.saved.validation,
        }
    }
}

fn random(hyper: &Hyperparameters, epoch: u32) -> Entropy {
    Entropy::seeded((u64::from(hyper.seed) << 32) | u64::from(epoch))
}
