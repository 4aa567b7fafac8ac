//! Which inputs are accepted, and what is said about those that are not.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use halyard_jobs::Registry;
use serde_json::value::RawValue;

fn errors(task_type: &str, data: &str) -> Vec<(String, &'static str)> {
    let data = RawValue::from_string(data.to_owned()).unwrap();
    match Registry::standard().get(task_type).unwrap().validate(&data) {
        Ok(()) => Vec::new(),
        Err(invalid) => invalid.0.into_iter().map(|error| (error.pointer, error.code)).collect(),
    }
}

#[test]
fn the_shipped_types_are_there() {
    let names = [
        "bulk_import",
        "data_extraction",
        "data_processing",
        "data_transformation",
        "database_cleanup",
        "http_request",
        "lambda_invoke",
        "machine_learning_training",
        "report_generation",
        "sample",
        "user_specific",
    ];
    assert_eq!(Registry::standard().names().collect::<Vec<_>>(), names);
}

#[test]
fn every_type_has_a_schema_of_an_object() {
    for task in Registry::standard().iter() {
        let schema = task.schema();
        assert_eq!(schema["type"], "object", "{schema}");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(!task.description().is_empty());
    }
}

#[test]
fn the_originals_types_take_any_object() {
    for task_type in ["sample", "user_specific"] {
        for data in ["{}", r#"{"steps":"many","duration_ms":[1],"fail":7,"x":{"y":[null]}}"#] {
            assert_eq!(errors(task_type, data), []);
        }
        assert_eq!(errors(task_type, "[]"), [(String::new(), "invalid_type")]);
    }
}

#[test]
fn a_wrong_field_is_named_by_its_pointer() {
    let at = |pointer: &str, code| vec![(pointer.to_owned(), code)];
    assert_eq!(errors("data_processing", "{}"), at("/csv", "required"));
    assert_eq!(errors("data_processing", r#"{"csv":7}"#), at("/csv", "invalid_type"));
    assert_eq!(errors("data_processing", r#"{"csv":" "}"#), at("/csv", "empty"));
    assert_eq!(errors("data_processing", r#"{"csv":"a","top":-1}"#), at("/top", "invalid_value"));
    assert_eq!(errors("data_processing", r#"{"csv":"a","top":101}"#), at("/top", "out_of_range"));
    assert_eq!(errors("data_processing", r#"{"csv":"a","delimiter":"::"}"#), at("/delimiter", "invalid_value"));
    assert_eq!(errors("data_processing", r#"{"csv":"a","unknown":1,"delimiter":";","top":0}"#), []);
}
