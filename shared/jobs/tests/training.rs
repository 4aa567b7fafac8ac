//! `machine_learning_training`: it learns, tells how far it is, and goes on where it was.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/attempts.rs"]
mod attempts;

use std::time::Duration;

use attempts::{attempt, errors, run};
use halyard_jobs::{Registry, context::Handle};
use serde_json::{Value, json};

/// `y = 3 a - 2 b + 1`.
fn line() -> Value {
    let row = |n: i32| json!({"a": n % 10, "b": n % 7, "y": 3 * (n % 10) - 2 * (n % 7) + 1});
    (0..200).map(row).collect()
}

/// Inside a circle or outside: no line divides them.
fn circle() -> Value {
    let row = |n: i32| {
        let (x, y) = (f64::from(n % 21) / 10.0 - 1.0, f64::from(n / 21) / 10.0 - 1.0);
        json!({"x": x, "y": y, "inside": if x * x + y * y < 0.5 { "yes" } else { "no" }})
    };
    (0..441).map(row).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "made for the call")]
fn data(model: &str, rows: Value, target: &str, hyper: Value) -> Value {
    json!({"model_type": model, "dataset": rows, "target": target, "hyperparameters": hyper})
}

#[tokio::test]
async fn a_line_is_found() {
    let result = run("machine_learning_training", data("linear_regression", line(), "y", json!({"epochs": 50}))).await;
    let result = result.unwrap();
    assert_eq!(result["purpose"], "regression");
    assert!(result["validation_r_squared"].as_f64().unwrap() > 0.99, "{result}");
    assert_eq!(result["validation_accuracy"], json!(null));
    assert_eq!(result["rows"], json!({"training": 160, "validation": 40, "dropped": 0}));
}

#[tokio::test]
async fn a_hidden_layer_learns_what_weights_alone_cannot() {
    let hyper = json!({"epochs": 60, "learning_rate": 0.5, "batch_size": 8});
    let accuracy = async |model: &str| {
        let result = run("machine_learning_training", data(model, circle(), "inside", hyper.clone())).await.unwrap();
        assert_eq!(result["classes"], json!(["no", "yes"]));
        result["validation_accuracy"].as_f64().unwrap()
    };
    let (network, weights) = (accuracy("neural_network").await, accuracy("logistic_regression").await);
    assert!(network > 0.9 && network > weights + 0.1, "{network} against {weights}");
}

#[tokio::test]
async fn what_gets_no_better_ends_early_and_gives_the_best() {
    let mut data = data("linear_regression", line(), "y", json!({"epochs": 1000}));
    (data["early_stopping"], data["patience"]) = (true.into(), 3.into());
    let result = run("machine_learning_training", data).await.unwrap();
    assert_eq!(result["stopped_early"], true, "{result}");
    assert!(result["epochs_run"].as_u64().unwrap() < 1000);
}

#[tokio::test]
async fn what_learns_too_fast_fails_for_good_and_says_so() {
    let data = data("linear_regression", line(), "y", json!({"epochs": 500, "learning_rate": 10.0, "batch_size": 1}));
    let failure = run("machine_learning_training", data).await.unwrap_err();
    assert_eq!(failure.code, "diverged");
}

#[tokio::test]
async fn an_interrupted_training_goes_on_and_ends_as_the_whole_one() {
    let data = data("neural_network", circle(), "inside", json!({"epochs": 40, "dropout_rate": 0.2}));
    let whole = run("machine_learning_training", data.clone()).await.unwrap();
    let registry = Registry::standard();
    let mut saved = None;
    let killed = attempt(&registry, "machine_learning_training", &data, None, async |handle: &Handle| {
        loop {
            tokio::time::sleep(Duration::from_micros(200)).await;
            let Some(checkpoint) = handle.take_checkpoint() else { continue };
            let epoch = serde_json::from_str::<Value>(checkpoint.get()).unwrap()["epoch"].as_u64().unwrap();
            if epoch >= 5 {
                let progress: Value = serde_json::from_str(handle.take_progress().unwrap().get()).unwrap();
                assert_eq!(progress["total_epochs"], 40);
                assert!(progress["current_loss"].is_number() && progress["validation_accuracy"].is_number());
                saved = Some(checkpoint);
                return;
            }
        }
    });
    assert!(killed.await.is_none(), "it was killed under way");
    let forever = async |_: &Handle| std::future::pending().await;
    let resumed = attempt(&registry, "machine_learning_training", &data, saved, forever).await.unwrap().unwrap();
    // Numbers lose their last binary digit on the way through JSON.
    let bias = |result: &Value| result["model"]["layers"]["output"]["biases"][0].as_f64().unwrap();
    assert!((bias(&resumed) - bias(&whole)).abs() < 1e-9, "{resumed} for {whole}");
    assert_eq!(resumed["loss_history"], whole["loss_history"]);
    assert_eq!(resumed["validation_accuracy"], whole["validation_accuracy"]);
}

#[test]
fn what_cannot_be_learned_is_named() {
    let at = |pointer: &str, code| vec![(pointer.to_owned(), code)];
    let errors = |data: Value| errors("machine_learning_training", &data);
    let original = json!({
        "model_type": "neural_network",
        "dataset": "/data/training_set_v2.csv",
        "hyperparameters": {"learning_rate": 0.001, "batch_size": 64, "epochs": 100, "dropout_rate": 0.2},
        "validation_split": 0.2,
        "early_stopping": true,
    });
    assert_eq!(errors(original.clone()), at("/dataset", "no_such_dataset"), "there are no files here");
    let mut with_rows = original;
    with_rows["dataset"] = circle();
    assert_eq!(errors(with_rows), [], "everything else of the original's example is taken");
    assert_eq!(errors(json!({"model_type": "random_forest"})), at("/model_type", "invalid_value"));
    let few = json!({"model_type": "linear_regression", "dataset": "a,y\n1,2\n"});
    assert_eq!(errors(few), at("/dataset", "invalid_value"));
    let texts = json!({"model_type": "linear_regression", "dataset": "a,y\n1,a\n2,b\n3,c\n4,d\n"});
    assert_eq!(errors(texts), at("/dataset", "invalid_value"));
    let odd = json!({"model_type": "linear_regression", "dataset": line(), "hyperparameters": {"epochs": 0, "learning_rate": 0}});
    let pointers: Vec<String> = errors(odd).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(pointers, ["/hyperparameters/learning_rate", "/hyperparameters/epochs"]);
}
