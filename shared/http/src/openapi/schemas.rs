//! JSON Schemas (draft 2020-12, the dialect of `OpenAPI` 3.1) of request and answer types, as components.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// Where components stand in the document.
const COMPONENTS: &str = "/components/schemas";

/// Every schema of the document. What a client may send and what it is answered are described apart: a field with a
/// default may be left out of the one and is always in the other.
#[derive(Debug)]
pub struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
    named: Map<String, Value>,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = COMPONENTS.into();
                settings.meta_schema = None;
            })
        };
        Self {
            requests: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
            named: Map::new(),
        }
    }
}

impl Schemas {
    /// The schema of what a client sends, for the operation `id`.
    pub fn request<T: JsonSchema>(&mut self, id: &str) -> Value {
        take::<T>(&mut self.requests, &mut self.named, &format!("{}Request", capitalised(id)))
    }

    /// The schema of what a client is answered, for the operation `id`.
    pub fn answer<T: JsonSchema>(&mut self, id: &str) -> Value {
        take::<T>(&mut self.answers, &mut self.named, &format!("{}Data", capitalised(id)))
    }

    /// The schema of a query or a path, written out.
    pub(super) fn parameters<T: JsonSchema>(&mut self) -> Value {
        T::json_schema(&mut self.requests).to_value()
    }

    /// The schema of one parameter.
    pub(super) fn parameter<T: JsonSchema>(&mut self) -> Value {
        self.requests.subschema_for::<T>().to_value()
    }

    /// All components, and what is wrong with them.
    pub(super) fn finish(mut self, complaints: &mut Vec<String>) -> Map<String, Value> {
        let mut all = self.answers.take_definitions(true);
        for (name, schema) in self.requests.take_definitions(true).into_iter().chain(self.named) {
            match all.get(&name) {
                Some(other) if *other != schema => complaints.push(format!(
                    "two schemas are named {name}: give one of the types a name of its own, \
                     #[schemars(rename = \"...\")]"
                )),
                _ => drop(all.insert(name, schema)),
            }
        }
        all.values_mut().for_each(forget_null);
        for name in all.keys().filter(|name| name.ends_with(|c: char| c.is_ascii_digit()) && *name != "Problem") {
            complaints.push(format!(
                "the schema {name} got its number because two types have one name: give one of them a name of its own, \
                 #[schemars(rename = \"...\")]"
            ));
        }
        all
    }
}

/// A component. `Request` and `Response` are the names of the files' own types: they are called after the operation.
fn take<T: JsonSchema>(generator: &mut SchemaGenerator, named: &mut Map<String, Value>, name: &str) -> Value {
    if !matches!(&*T::schema_name(), "Request" | "Response") {
        return generator.subschema_for::<T>().to_value();
    }
    let mut schema = T::json_schema(generator).to_value();
    // The comment on nearly every one of them, which says something to readers of the code only.
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let for_readers_of_code = text.starts_with("`data`") || text.starts_with("The body");
    if let (true, Some(members)) = (for_readers_of_code, schema.as_object_mut()) {
        members.remove("description");
    }
    named.insert(name.to_owned(), schema);
    json!({ "$ref": format!("#{COMPONENTS}/{name}") })
}

fn capitalised(id: &str) -> String {
    let mut letters = id.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A default of null says nothing that "may be left out" does not, and is wrong where null may not be sent.
fn forget_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(forget_null),
        Value::Object(members) => {
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            members.values_mut().for_each(forget_null);
        }
        _ => {}
    }
}
