//! An operation as a command.

use serde_json::Value;

use crate::{resolve, text};

/// `curl` with everything that the operation must have. `$URL` and `$TOKEN` are the reader's.
pub fn command(document: &Value, method: &str, path: &str, operation: &Value) -> String {
    let mut url = path.to_owned();
    for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "path") {
        let schema = resolve(document, &parameter["schema"]);
        let name = text(parameter, "name");
        url = url.replace(&format!("{{{name}}}"), &example(schema));
    }
    let mut parts =
        vec![if method == "get" { "curl".to_owned() } else { format!("curl -X {}", method.to_uppercase()) }];
    parts.push(format!("\"$URL{url}\""));
    for scheme in operation["security"].as_array().into_iter().flatten().filter_map(Value::as_object) {
        for name in scheme.keys() {
            parts.push(match name.as_str() {
                "cookie" => "--cookie \"halyard_session=$TOKEN\"".to_owned(),
                "refreshToken" => continue,
                _ => "-H \"Authorization: Bearer $TOKEN\"".to_owned(),
            });
        }
    }
    let body = &operation["requestBody"]["content"]["application/json"]["example"];
    if !body.is_null() {
        parts.push("-H \"Content-Type: application/json\"".to_owned());
        parts.push(format!("-d '{}'", body.to_string().replace('\'', "'\\''")));
    }
    parts.join(" \\\n  ")
}

/// A value that a schema allows, for a path.
fn example(schema: &Value) -> String {
    let first = schema["examples"].get(0).or_else(|| schema["enum"].get(0)).or_else(|| schema["oneOf"][0].get("const"));
    match first {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None if schema["type"] == "integer" => "1".to_owned(),
        None => "name".to_owned(),
    }
}
