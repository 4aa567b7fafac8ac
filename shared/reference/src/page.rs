//! The page around the operations.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{
    html::{Escaped, anchor},
    markdown,
    operation::Served,
    text,
};

/// The whole page.
pub fn page(document: &Value, style: &str, script: &str) -> String {
    let info = &document["info"];
    let title = Escaped(text(info, "title"));
    let groups = groups(document);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title} API</title><style>{style}</style></head>\
         <body><a class=\"skip\" href=\"#content\">To the operations</a>\
         <header><h1>{title} <span class=\"version\">{version}</span></h1>\
         <p><a href=\"/openapi.json\">openapi.json</a></p></header>\
         <nav aria-label=\"Operations\"><label for=\"search\">Filter</label>\
         <input id=\"search\" type=\"search\" autocomplete=\"off\" placeholder=\"tasks, post, 2fa\">\
         <p id=\"found\" role=\"status\"></p>{navigation}</nav>\
         <main id=\"content\" tabindex=\"-1\"><section class=\"introduction\">{introduction}{security}</section>{operations}</main>\
         <script>{script}</script></body></html>\n",
        version = Escaped(text(info, "version")),
        navigation = navigation(&groups),
        introduction = markdown::blocks(text(info, "description")),
        security = security(document),
        operations = sections(document, &groups),
    )
}

struct Group<'a> {
    name: &'a str,
    operations: Vec<Served<'a>>,
}

/// The operations by tag, in the order of the document's tags.
fn groups(document: &Value) -> Vec<Group<'_>> {
    let all = || {
        let paths = document["paths"].as_object().into_iter().flatten();
        paths.flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| Served { method, path, operation })
        })
    };
    let tags = document["tags"].as_array().into_iter().flatten().map(|tag| text(tag, "name"));
    let of = |name| all().filter(|served| served.operation["tags"][0] == name).collect();
    tags.map(|name| Group { name, operations: of(name) }).collect()
}

fn navigation(groups: &[Group<'_>]) -> String {
    let mut out = String::new();
    for group in groups {
        let _ = write!(out, "<h2>{}</h2><ul>", Escaped(group.name));
        for served in &group.operations {
            let _ = write!(out, "<li><a href=\"#{}\">{}</a></li>", served.anchor(), served.key());
        }
        out.push_str("</ul>");
    }
    out
}

fn sections(document: &Value, groups: &[Group<'_>]) -> String {
    let mut out = String::new();
    for group in groups {
        let anchor = anchor(group.name);
        let _ = write!(
            out,
            "<section class=\"group\" aria-labelledby=\"{anchor}\"><h2 id=\"{anchor}\">{}</h2>",
            Escaped(group.name)
        );
        group.operations.iter().for_each(|served| out.push_str(&served.article(document)));
        out.push_str("</section>");
    }
    out
}

fn security(document: &Value) -> String {
    let schemes = document["components"]["securitySchemes"].as_object();
    let mut out = String::from("<h2>Credentials</h2><dl>");
    for (name, scheme) in schemes.into_iter().flatten() {
        let about = markdown::inline(text(scheme, "description"));
        let _ = write!(out, "<dt><code>{}</code></dt><dd>{about}</dd>", Escaped(name));
    }
    out + "</dl><p>The commands below take <code>$URL</code> and <code>$TOKEN</code> from the shell.</p>"
}
