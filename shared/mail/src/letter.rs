//! The form of every mail: one list of paragraphs, written as plain text and as HTML, so that the two never say different
//! things. The HTML has no colours, images or scripts of its own: it reads in the dark as in the light, and loads nothing.

use std::fmt::Write as _;

/// A mail's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line, never made of what a user wrote.
    pub subject: String,
    /// As plain text.
    pub text: String,
    /// As HTML.
    pub html: String,
}

/// A paragraph.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// Words.
    Say(String),
    /// Something to click.
    Link {
        /// What it does.
        label: &'static str,
        /// Where it leads.
        url: String,
    },
    /// Something to copy.
    Code(String),
}

/// The longest name that a mail begins with, in characters.
const LONGEST_NAME: usize = 60;

pub(crate) fn write(subject: &str, name: &str, parts: &[Part]) -> Letter {
    let greeting = addressed(name).map_or_else(|| "Hello,".to_owned(), |name| format!("Hello {name},"));
    let mut text = format!("{greeting}\n");
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{}</title></head>\n\
         <body style=\"margin:0;padding:24px;font:16px/1.5 system-ui,sans-serif\">\
         <div style=\"max-width:36em;margin:0 auto\">\n<p>{}</p>\n",
        escape(subject),
        escape(&greeting)
    );
    // Writing into text does not fail.
    for part in parts {
        let _ = match part {
            Part::Say(words) => {
                let _ = write!(text, "\n{}\n", wrap(words));
                writeln!(html, "<p>{}</p>", escape(words))
            }
            Part::Link { label, url } => {
                let _ = write!(text, "\n{label}:\n{url}\n");
                writeln!(
                    html,
                    "<p><a href=\"{}\" style=\"display:inline-block;padding:10px 18px;border:2px solid;border-radius:6px;\
                     text-decoration:none;font-weight:600\">{}</a></p>",
                    escape(url),
                    escape(label)
                )
            }
            Part::Code(code) => {
                let _ = write!(text, "\n    {code}\n");
                writeln!(html, "<p><code style=\"word-break:break-all\">{}</code></p>", escape(code))
            }
        };
    }
    text.push_str("\n-- \nHalyard. This mail was sent by itself; nobody reads answers to it.\n");
    html.push_str("<p><small>Halyard. This mail was sent by itself; nobody reads answers to it.</small></p>\n</div></body></html>\n");
    Letter { subject: subject.to_owned(), text, html }
}

/// The name, if it can stand in a mail. Whoever registers somebody else's address chooses the name that this somebody reads:
/// what a mail program would make a link of is left out, and so is what is too long for a name.
fn addressed(name: &str) -> Option<&str> {
    let name = name.trim();
    let odd = |c: char| c.is_control() || matches!(c, '/' | ':' | '@' | '<' | '>' | '\u{2028}' | '\u{2029}');
    // A full stop belongs to a name ("Dr. May"), between letters it makes a domain.
    let domain = name.split('.').skip(1).any(|rest| rest.chars().next().is_some_and(|c| !c.is_whitespace()));
    let fits = !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(odd) && !domain;
    fits.then_some(name)
}

/// Lines of at most 72 characters, where the words allow it.
fn wrap(words: &str) -> String {
    let mut out = String::with_capacity(words.len() + 8);
    let mut column = 0;
    for word in words.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > 72 {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

/// Text inside of elements and of attributes in double quotes.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
        out
    })
}
