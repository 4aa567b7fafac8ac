//! The little Markdown that descriptions use: paragraphs, lists, `code` and **strong**.

use std::fmt::Write as _;

use crate::html::Escaped;

/// Blocks.
pub fn blocks(text: &str) -> String {
    let mut out = String::new();
    for block in text.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        if block.lines().all(|line| line.starts_with("- ")) {
            out.push_str("<ul>");
            for line in block.lines() {
                let _ = write!(out, "<li>{}</li>", inline(line.trim_start_matches("- ")));
            }
            out.push_str("</ul>");
        } else {
            let _ = write!(out, "<p>{}</p>", inline(block));
        }
    }
    out
}

/// Within a line.
pub fn inline(text: &str) -> String {
    let mut out = String::new();
    for (index, piece) in text.split('`').enumerate() {
        if index % 2 == 1 {
            let _ = write!(out, "<code>{}</code>", Escaped(piece));
            continue;
        }
        for (index, piece) in piece.split("**").enumerate() {
            let piece = Escaped(piece);
            let _ = if index % 2 == 1 { write!(out, "<strong>{piece}</strong>") } else { write!(out, "{piece}") };
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{blocks, inline};

    #[test]
    fn code_and_strong_words_are_marked_and_everything_is_escaped() {
        assert_eq!(inline("**a** `<b>` & c"), "<strong>a</strong> <code>&lt;b&gt;</code> &amp; c");
    }

    #[test]
    fn a_block_whose_lines_all_begin_with_a_dash_is_a_list() {
        assert_eq!(blocks("Not\n\n- one\n- two"), "<p>Not</p><ul><li>one</li><li>two</li></ul>");
    }
}
