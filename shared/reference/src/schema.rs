//! A schema as nested lists, with references followed.

use serde_json::{Map, Value};

use crate::{html::Escaped, markdown, resolve, text};

/// How deep references are followed: none of the document's goes further.
const DEEPEST: usize = 8;

/// What a schema says, as HTML.
pub fn schema(document: &Value, schema: &Value) -> String {
    body(document, schema, 0)
}

/// The kind of a schema in a word or two: `string (date-time)`, `array of Task`, `integer or null`.
pub fn kind(document: &Value, schema: &Value) -> String {
    if let Some(name) = name(schema) {
        return name.to_owned();
    }
    if let Some(choices) = choices(schema) {
        let kinds: Vec<String> = choices.iter().map(|choice| kind(document, choice)).collect();
        let constants = choices.iter().all(|choice| choice.get("const").is_some());
        return if constants { "one of".to_owned() } else { kinds.join(" or ") };
    }
    if let Some(constant) = schema.get("const") {
        return constant.to_string();
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ if schema.get("enum").is_some() => vec!["one of"],
        _ => vec!["anything"],
    };
    let kinds: Vec<String> = kinds.into_iter().map(|kind| qualified(document, schema, kind)).collect();
    kinds.join(" or ")
}

fn qualified(document: &Value, schema: &Value, one: &str) -> String {
    match (one, schema.get("items"), text(schema, "format")) {
        ("array", Some(items), _) => format!("array of {}", kind(document, items)),
        ("null" | "array" | "object" | "boolean", ..) | (_, _, "") => one.to_owned(),
        (_, _, format) => format!("{one} ({format})"),
    }
}

/// The name of the component that a reference names.
fn name(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.rsplit('/').next()
}

fn choices(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array()
}

fn body(document: &Value, schema: &Value, depth: usize) -> String {
    let resolved = resolve(document, schema);
    let mut out = String::new();
    out.push_str(&markdown::blocks(text(resolved, "description")));
    out.push_str(&bounds(resolved));
    out.push_str(&bounds_beside_reference(schema));
    if depth < DEEPEST {
        out.push_str(&inside(document, resolved, depth));
    }
    out
}

/// What is narrowed where a component is referred to.
fn bounds_beside_reference(schema: &Value) -> String {
    let narrowed = schema.get("$ref").and(schema.get("properties")).and_then(Value::as_object);
    let line = |(member, narrowed): (&String, &Value)| {
        let values: Vec<String> = match (narrowed.get("const"), narrowed.get("enum").and_then(Value::as_array)) {
            (Some(value), _) => vec![plain(value)],
            (None, Some(values)) => values.iter().map(plain).collect(),
            (None, None) => return String::new(),
        };
        let values: Vec<String> = values.iter().map(|value| format!("<code>{}</code>", Escaped(value))).collect();
        format!("<p><code>{}</code>: {}</p>", Escaped(member), values.join(", "))
    };
    narrowed.into_iter().flatten().map(line).collect()
}

fn inside(document: &Value, schema: &Value, depth: usize) -> String {
    if let Some(choices) = choices(schema) {
        return alternatives(document, choices, depth);
    }
    if let Some(items) = schema.get("items") {
        return body(document, items, depth + 1);
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return String::new() };
    members(document, schema, properties, depth)
}

fn members(document: &Value, schema: &Value, properties: &Map<String, Value>, depth: usize) -> String {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut out = String::from("<ul class=\"members\">");
    // What must be there comes first.
    let (first, rest): (Vec<_>, Vec<_>) = properties.iter().partition(|(name, _)| required.contains(&name.as_str()));
    for (member, described) in first.into_iter().chain(rest) {
        let must = if required.contains(&member.as_str()) { " <span class=\"must\">required</span>" } else { "" };
        let head = format!(
            "<code class=\"name\">{}</code> <span class=\"kind\">{}</span>{must}",
            Escaped(member),
            Escaped(&kind(document, described))
        );
        out.push_str(&folded(&head, &body(document, described, depth + 1)));
    }
    if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
        out.push_str("<li class=\"note\">No other members.</li>");
    }
    out + "</ul>"
}

/// An entry; what is long stays folded until it is asked for.
fn folded(head: &str, inner: &str) -> String {
    if inner.contains("<ul") {
        format!("<li><details><summary>{head}</summary>{inner}</details></li>")
    } else {
        format!("<li>{head}{inner}</li>")
    }
}

fn alternatives(document: &Value, choices: &[Value], depth: usize) -> String {
    let constants = choices.iter().all(|choice| choice.get("const").is_some());
    if constants {
        let item = |choice: &Value| {
            let about = markdown::inline(text(choice, "description"));
            let value = plain(&choice["const"]);
            format!("<li><code>{}</code> {about}</li>", Escaped(&value))
        };
        return format!("<ul class=\"values\">{}</ul>", choices.iter().map(item).collect::<String>());
    }
    // `null` says nothing more than the kind does.
    let said = choices.iter().filter(|choice| choice.get("type") != Some(&Value::from("null")));
    said.map(|choice| body(document, choice, depth + 1)).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The rules of a value, one line.
pub fn bounds(schema: &Value) -> String {
    const NUMBERS: [(&str, &str); 8] = [
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "characters at least"),
        ("maxLength", "characters at most"),
        ("minItems", "items at least"),
        ("maxItems", "items at most"),
        ("maxProperties", "members at most"),
        ("default", "default"),
    ];
    let mut rules = Vec::new();
    for (member, words) in NUMBERS {
        match schema.get(member) {
            None | Some(Value::Null) => {}
            Some(value)
                if member.starts_with("min") && member != "minimum"
                    || member.starts_with("max") && member != "maximum" =>
            {
                rules.push(format!("{value} {words}"));
            }
            Some(value) => rules.push(format!("{words} <code>{}</code>", Escaped(&plain(value)))),
        }
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        rules.push(format!("matches <code>{}</code>", Escaped(pattern)));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> =
            values.iter().map(|value| format!("<code>{}</code>", Escaped(&plain(value)))).collect();
        rules.push(format!("one of {}", values.join(", ")));
    }
    if rules.is_empty() { String::new() } else { format!("<p class=\"bounds\">{}</p>", rules.join("; ")) }
}
