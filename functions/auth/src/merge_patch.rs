//! JSON Merge Patch (RFC 7396).

use serde_json::{Map, Value};

/// What `target` becomes by `patch`: members that are null go, objects are merged, everything else replaces.
pub fn apply(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut merged = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, change) in patch {
        if change.is_null() {
            merged.remove(name);
        } else {
            let before = merged.remove(name).unwrap_or(Value::Null);
            merged.insert(name.clone(), apply(before, change));
        }
    }
    Value::Object(merged)
}
