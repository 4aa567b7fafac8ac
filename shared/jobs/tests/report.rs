//! `report_generation`, in each form.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/attempts.rs"]
mod attempts;

use attempts::{errors, run};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

async fn report(format: &str) -> Value {
    let rows = json!([{"item": "<b>apple</b> (ripe)", "amount": 2.5}, {"item": "pear", "amount": 4}]);
    run("report_generation", json!({"template": "daily_sales", "format": format, "data": rows})).await.unwrap()
}

#[tokio::test]
async fn html_holds_figures_and_rows_and_nothing_that_runs() {
    let report = report("html").await;
    assert_eq!((&report["title"], &report["row_count"]), (&json!("Daily sales"), &json!(2)));
    let page = report["content"].as_str().unwrap();
    for part in
        ["<h1>Daily sales</h1>", "&lt;b&gt;apple&lt;/b&gt;", "<td class=\"n\">6.5</td>", "<td class=\"n\">3.25</td>"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<b>") && !page.contains("<script"));
}

#[tokio::test]
async fn json_and_csv_can_be_read_again() {
    let json: Value = serde_json::from_str(report("json").await["content"].as_str().unwrap()).unwrap();
    assert_eq!(json["figures"]["amount"]["sum"], 6.5);
    assert_eq!(json["rows"][1]["item"], "pear");
    let csv = report("csv").await;
    assert_eq!(csv["content"], "amount,item\n2.5,<b>apple</b> (ripe)\n4,pear\n");
    assert_eq!(csv["media_type"], "text/csv; charset=utf-8");
}

#[tokio::test]
async fn a_pdf_is_one_whose_objects_are_where_it_says() {
    let report = report("pdf").await;
    assert_eq!(report["encoding"], "base64");
    let pdf = BASE64_STANDARD.decode(report["content"].as_str().unwrap()).unwrap();
    assert_eq!(report["size_bytes"], pdf.len());
    assert!(pdf.starts_with(b"%PDF-1.4") && pdf.ends_with(b"%%EOF\n"));
    let text = String::from_utf8_lossy(&pdf).into_owned();
    assert!(text.contains("\\(ripe\\)"), "brackets are escaped: {text}");
    let find = |needle: &str, from: usize| {
        pdf[from..].windows(needle.len()).position(|part| part == needle.as_bytes()).map(|at| at + from).unwrap()
    };
    let table = find("\nxref\n", 0) + 1;
    let said: usize = text.rsplit("startxref\n").next().unwrap().lines().next().unwrap().parse().unwrap();
    assert_eq!(said, table);
    let entries: Vec<usize> = String::from_utf8_lossy(&pdf[table..])
        .lines()
        .filter(|line| line.ends_with(" 00000 n "))
        .map(|line| line[..10].parse().unwrap())
        .collect();
    for (n, place) in entries.iter().enumerate() {
        assert_eq!(find(&format!("{} 0 obj", n + 1), *place), *place);
    }
    assert_eq!(entries.len(), 5, "catalogue, pages, font, one page and its text");
}

#[tokio::test]
async fn the_originals_example_is_taken_and_says_that_it_mails_nothing() {
    let example = json!({"template": "daily_sales", "format": "pdf", "recipients": ["manager@company.com"]});
    assert_eq!(errors("report_generation", &example), []);
    let warnings = run("report_generation", example).await.unwrap()["warnings"].take();
    assert_eq!(warnings.as_array().unwrap().len(), 2, "{warnings}");
}

#[test]
fn what_cannot_be_done_is_named() {
    let at = |pointer: &str, code| vec![(pointer.to_owned(), code)];
    assert_eq!(errors("report_generation", &json!({})), at("/template", "required"));
    assert_eq!(errors("report_generation", &json!({"template": " "})), at("/template", "invalid_length"));
    assert_eq!(
        errors("report_generation", &json!({"template": "a", "format": "docx"})),
        at("/format", "invalid_value")
    );
    assert_eq!(errors("report_generation", &json!({"template": "a", "data": 5})), at("/data", "invalid_value"));
}
