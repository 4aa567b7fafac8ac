//! The inbox as pages. What a mail says is text here; its HTML is shown in a frame of its own, where nothing runs and nothing
//! is loaded.

use std::fmt::Write as _;

use bytes::Bytes;
use halyard_cloud::mail::Kept;
use http::{HeaderValue, StatusCode, header};

use super::PATH;
use crate::event::Response;

const STYLE: &str = ":root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}body{max-width:60em;margin:2em auto;\
     padding:0 1em}table{width:100%;border-collapse:collapse}td,th{text-align:left;padding:.3em .6em;vertical-align:top;border-bottom:1px solid \
     #8884}pre{white-space:pre-wrap;overflow-wrap:anywhere}iframe{width:100%;height:28em;border:1px solid #8884}";
/// For the pages of the inbox itself.
const OWN: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";
/// For the HTML of a mail. Its links open, in a tab of their own.
const FOREIGN: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; \
     form-action 'none'; frame-ancestors 'self'";

/// Every mail, a line each.
pub(super) fn list(mails: &[Kept]) -> Response {
    let mut rows = String::new();
    for mail in mails {
        // Writing into text does not fail.
        let _ = writeln!(
            rows,
            "<tr><td>{}</td><td>{}</td><td><a href=\"{PATH}/{}\">{}</a></td></tr>",
            mail.at.format("%Y-%m-%d %H:%M:%S"),
            escape(&mail.message.to),
            escape(&mail.id),
            escape(&mail.message.subject),
        );
    }
    let none = if mails.is_empty() { "<p>No mail was sent yet.</p>" } else { "" };
    let body = format!(
        "<h1>Mail</h1>\n<p>What was sent from here, the newest first. It went nowhere else. \
         <a href=\"{PATH}.json\">As JSON</a></p>\n<table><tr><th>At (UTC)</th><th>To</th><th>Subject</th></tr>\n{rows}</table>\n\
         {none}"
    );
    page("Mail", &body)
}

/// One mail: headers, text, and a frame with its HTML.
pub(super) fn mail(mail: &Kept) -> Response {
    let message = &mail.message;
    let named = [("From", &message.from), ("To", &message.to), ("Subject", &message.subject)];
    let all = named.into_iter().chain(message.headers.iter().map(|(name, value)| (name.as_str(), value)));
    let headers = all.fold(String::new(), |mut out, (name, value)| {
        let _ = writeln!(out, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value));
        out
    });
    let body = format!(
        "<p><a href=\"{PATH}\">All mail</a></p>\n<h1>{}</h1>\n<table>{headers}</table>\n<h2>Text</h2>\n<pre>{}</pre>\n\
         <h2>HTML</h2>\n<iframe sandbox=\"allow-popups allow-popups-to-escape-sandbox\" src=\"{PATH}/{}/html\" \
         title=\"The mail's HTML\"></iframe>",
        escape(&message.subject),
        linked(&message.text),
        escape(&mail.id),
    );
    page(&message.subject, &body)
}

/// The HTML of a mail, for the frame.
pub(super) fn body(mail: &Kept) -> Response {
    html(format!("<base target=\"_blank\">{}", mail.message.html), FOREIGN)
}

/// A sentence.
pub(super) fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Bytes::from(format!("{text}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn page(title: &str, body: &str) -> Response {
    let title = escape(title);
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\n\
         <body>\n{body}\n</body></html>\n"
    );
    html(text, OWN)
}

fn html(text: String, policy: &'static str) -> Response {
    let mut response = Response::new(Bytes::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Text with its links to click.
fn linked(text: &str) -> String {
    let line = |line: &str| {
        let escaped = escape(line);
        let is_link = line.starts_with("http://") || line.starts_with("https://");
        if is_link && !line.contains(char::is_whitespace) {
            format!("<a href=\"{escaped}\" target=\"_blank\" rel=\"noreferrer\">{escaped}</a>")
        } else {
            escaped
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
