//! As a page that needs nothing else and runs nothing.

use std::fmt::Write as _;

use super::{Report, shown};
use crate::types::rows::text_of;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#222}table{border-collapse:collapse;margin:1rem 0}\
                     th,td{border:1px solid #ccc;padding:.25rem .6rem;text-align:left}th{background:#f3f3f3}\
                     td.n{text-align:right;font-variant-numeric:tabular-nums}";

/// The page.
pub fn page(report: &Report) -> String {
    let title = escaped(&report.title);
    let rows = report.frame.rows.len();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\n\
         <body>\n<h1>{title}</h1>\n<p>Generated at {}. Rows: {rows}.</p>\n",
        report.generated_at
    );
    if !report.figures.is_empty() {
        page.push_str("<h2>Figures</h2>\n<table>\n<tr><th>Column</th><th>Count</th><th>Sum</th><th>Mean</th>");
        page.push_str("<th>Smallest</th><th>Largest</th><th>Deviation</th></tr>\n");
        for (name, f) in &report.figures {
            let numbers =
                [f.sum, f.mean, f.min, f.max, f.deviation].map(|n| format!("<td class=\"n\">{}</td>", shown(n)));
            let line = format!("<td>{}</td><td class=\"n\">{}</td>{}", escaped(name), f.count, numbers.concat());
            put(&mut page, &line);
        }
        page.push_str("</table>\n");
    }
    if rows > 0 {
        page.push_str("<h2>Rows</h2>\n<table>\n");
        let header = report.frame.columns.iter().map(|name| format!("<th>{}</th>", escaped(name)));
        put(&mut page, &header.collect::<Vec<_>>().concat());
        for row in report.shown() {
            let cells = report.frame.columns.iter().map(|name| {
                let value = row.get(name);
                let class = if value.is_some_and(serde_json::Value::is_number) { " class=\"n\"" } else { "" };
                format!("<td{class}>{}</td>", escaped(&text_of(value)))
            });
            put(&mut page, &cells.collect::<Vec<_>>().concat());
        }
        page.push_str("</table>\n");
    }
    if report.left_out() > 0 {
        let _ = writeln!(page, "<p>{} more rows are not shown.</p>", report.left_out());
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn put(page: &mut String, cells: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(page, "<tr>{cells}</tr>");
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
