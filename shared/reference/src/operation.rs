//! One operation.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{
    curl,
    html::{Escaped, anchor},
    markdown, resolve,
    schema::{self, kind},
    text,
};

/// An operation and where it is served.
#[derive(Clone, Copy)]
pub struct Served<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub operation: &'a Value,
}

impl Served<'_> {
    /// Its place in the page.
    pub fn anchor(&self) -> String {
        anchor(text(self.operation, "operationId"))
    }

    /// Method and path.
    pub fn key(&self) -> String {
        format!(
            "<span class=\"method {}\">{}</span> <span class=\"path\">{}</span>",
            Escaped(self.method),
            Escaped(&self.method.to_uppercase()),
            // A long path may break before a part.
            Escaped(self.path).to_string().replace('/', "/<wbr>")
        )
    }

    /// Everything that the document says of it.
    pub fn article(&self, document: &Value) -> String {
        let (operation, anchor) = (self.operation, self.anchor());
        let mut out = format!(
            "<article id=\"{anchor}\" data-words=\"{}\"><h3><a href=\"#{anchor}\">{}</a></h3><p class=\"summary\">{}</p>",
            Escaped(&self.words()),
            self.key(),
            markdown::inline(text(operation, "summary"))
        );
        out.push_str(&markdown::blocks(text(operation, "description")));
        let _ = write!(out, "<p class=\"security\">{}</p>", security(&operation["security"]));
        out.push_str(&parameters(document, operation));
        out.push_str(&body(document, operation));
        let command = curl::command(document, self.method, self.path, operation);
        let _ = write!(
            out,
            "<h4>Command</h4><pre class=\"command\" tabindex=\"0\"><code>{}</code></pre>",
            Escaped(&command)
        );
        out.push_str(&answers(document, operation));
        out + "</article>"
    }

    /// What a search looks at.
    fn words(&self) -> String {
        let operation = self.operation;
        let said = [text(operation, "operationId"), text(operation, "summary"), text(operation, "description")];
        format!("{} {} {}", self.method, self.path, said.join(" ")).to_lowercase()
    }
}

fn security(schemes: &Value) -> String {
    let schemes: Vec<&Value> = schemes.as_array().into_iter().flatten().collect();
    let names = schemes.iter().filter_map(|scheme| scheme.as_object()?.keys().next());
    let words: Vec<&str> = names
        .map(|name| match name.as_str() {
            "bearer" => "an access token or an API key",
            "refreshToken" => "a refresh token",
            "cookie" => "the dashboard's cookie",
            other => other,
        })
        .collect();
    let optional = schemes.iter().any(|scheme| scheme.as_object().is_some_and(serde_json::Map::is_empty));
    match (&words[..], optional) {
        (["a refresh token"], true) => "Needs a refresh token, here or in the body.".to_owned(),
        ([], _) => "Public: no credential.".to_owned(),
        (words, true) => format!("Public; says more to {}.", Escaped(&words.join(" or "))),
        (words, false) => format!("Needs {}.", Escaped(&words.join(" or "))),
    }
}

fn parameters(document: &Value, operation: &Value) -> String {
    let Some(parameters) = operation["parameters"].as_array() else { return String::new() };
    let mut out = String::from("<h4>Parameters</h4><ul class=\"members\">");
    for parameter in parameters {
        let (described, must) = (&parameter["schema"], parameter["required"] == true);
        let resolved = resolve(document, described);
        let about = [text(parameter, "description"), text(resolved, "description")];
        let about = about.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        let _ = write!(
            out,
            "<li><code class=\"name\">{}</code> <span class=\"kind\">{}, in {}</span>{}{}{}{}</li>",
            Escaped(text(parameter, "name")),
            Escaped(&kind(document, described)),
            match text(parameter, "in") {
                "path" => "the path",
                "query" => "the query",
                other => other,
            },
            if must { " <span class=\"must\">required</span>" } else { "" },
            markdown::blocks(about),
            schema::bounds(resolved),
            values(resolved)
        );
    }
    out + "</ul>"
}

/// The names of an enumeration.
fn values(schema: &Value) -> String {
    let names: Vec<String> = schema["oneOf"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|choice| choice["const"].as_str())
        .map(|name| format!("<code>{}</code>", Escaped(name)))
        .collect();
    if names.is_empty() { String::new() } else { format!("<p class=\"bounds\">one of {}</p>", names.join(", ")) }
}

fn body(document: &Value, operation: &Value) -> String {
    let body = &operation["requestBody"];
    let mut out = String::new();
    for (media_type, content) in body["content"].as_object().into_iter().flatten() {
        let must = if body["required"] == true { "required" } else { "may be missing" };
        let _ = write!(
            out,
            "<h4>Body</h4><p><code>{}</code>, {must}</p>{}",
            Escaped(media_type),
            schema::schema(document, &content["schema"])
        );
    }
    out
}

fn answers(document: &Value, operation: &Value) -> String {
    let mut out = String::from("<h4>Answers</h4>");
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let answer = resolve(document, answer);
        let description = text(answer, "description");
        let (title, rest) = description.split_once("\n\n").unwrap_or((description, ""));
        let class = if status.starts_with('2') { "good" } else { "bad" };
        let _ = write!(
            out,
            "<details class=\"answer\"><summary><span class=\"status {class}\">{}</span> {}</summary>{}",
            Escaped(status),
            markdown::inline(title),
            markdown::blocks(rest)
        );
        for (media_type, content) in answer["content"].as_object().into_iter().flatten() {
            let _ = write!(
                out,
                "<p><code>{}</code></p>{}",
                Escaped(media_type),
                schema::schema(document, &content["schema"])
            );
            if let Some(example) = content.get("example") {
                let example = serde_json::to_string_pretty(example).unwrap_or_default();
                let _ = write!(out, "<pre tabindex=\"0\"><code>{}</code></pre>", Escaped(&example));
            }
        }
        out.push_str(&headers(document, &answer["headers"]));
        out.push_str(&links(&answer["links"]));
        out.push_str("</details>");
    }
    out
}

fn headers(document: &Value, headers: &Value) -> String {
    let Some(headers) = headers.as_object().filter(|headers| !headers.is_empty()) else { return String::new() };
    let mut out = String::from("<p>Headers</p><ul class=\"members\">");
    for (name, header) in headers {
        let about = markdown::inline(text(resolve(document, header), "description"));
        let _ = write!(out, "<li><code class=\"name\">{}</code> {about}</li>", Escaped(name));
    }
    out + "</ul>"
}

/// Operations that take what the answer has.
fn links(links: &Value) -> String {
    let Some(links) = links.as_object() else { return String::new() };
    let to = |id: &String| format!("<a href=\"#{}\"><code>{}</code></a>", anchor(id), Escaped(id));
    format!("<p>Leads to {}</p>", links.keys().map(to).collect::<Vec<_>>().join(", "))
}
