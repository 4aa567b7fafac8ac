//! As a PDF 1.4 of lines in Courier: a table needs no more, and every reader has the font. Source: ISO 32000-1.

use std::fmt::Write as _;

use super::{Report, shown};
use crate::types::rows::text_of;

/// A4, lying, in points.
const WIDTH: usize = 842;
const HEIGHT: usize = 595;
const MARGIN: usize = 40;
/// Of the letters and of the lines, in points.
const SIZE: usize = 8;
const LEADING: usize = 10;
/// Courier's letters are 0.6 of its size wide.
const LETTERS: usize = (WIDTH - 2 * MARGIN) * 10 / (SIZE * 6);
const LINES: usize = (HEIGHT - 2 * MARGIN) / LEADING;
/// The widest column, in letters.
const WIDEST: usize = 40;

/// The document.
pub fn document(report: &Report) -> Vec<u8> {
    let lines = lines(report);
    let pages: Vec<&[String]> = lines.chunks(LINES).collect();
    let mut pdf = Writer { out: b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec(), places: Vec::new() };
    let kids: Vec<String> = (0..pages.len()).map(|n| format!("{} 0 R", 4 + 2 * n)).collect();
    pdf.object("<< /Type /Catalog /Pages 2 0 R >>", None);
    pdf.object(&format!("<< /Type /Pages /Count {} /Kids [{}] >>", pages.len(), kids.join(" ")), None);
    pdf.object("<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>", None);
    for (n, page) in pages.iter().enumerate() {
        let content = 5 + 2 * n;
        pdf.object(
            &format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents {content} 0 R \
                 /Resources << /Font << /F1 3 0 R >> >> >>"
            ),
            None,
        );
        let mut text = format!("BT /F1 {SIZE} Tf {LEADING} TL {MARGIN} {} Td\n", HEIGHT - MARGIN).into_bytes();
        for line in *page {
            text.push(b'(');
            text.extend(encoded(line));
            text.extend(b") Tj T*\n");
        }
        text.extend(b"ET\n");
        pdf.object(&format!("<< /Length {} >>", text.len()), Some(&text));
    }
    pdf.end()
}

struct Writer {
    out: Vec<u8>,
    /// Where each object begins.
    places: Vec<usize>,
}

impl Writer {
    /// The next object, numbered from 1.
    fn object(&mut self, dictionary: &str, stream: Option<&[u8]>) {
        self.places.push(self.out.len());
        self.out.extend(format!("{} 0 obj\n{dictionary}\n", self.places.len()).into_bytes());
        if let Some(stream) = stream {
            self.out.extend(b"stream\n");
            self.out.extend(stream);
            self.out.extend(b"endstream\n");
        }
        self.out.extend(b"endobj\n");
    }

    /// The table of objects, and where it is.
    fn end(mut self) -> Vec<u8> {
        let (table, count) = (self.out.len(), self.places.len() + 1);
        let mut text = format!("xref\n0 {count}\n0000000000 65535 f \n");
        // Writing into a String cannot fail.
        for place in &self.places {
            let _ = writeln!(text, "{place:010} 00000 n ");
        }
        let _ = write!(text, "trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n");
        self.out.extend(text.into_bytes());
        self.out
    }
}

/// Latin-1, which the encoding has where it matters; what it has not is a question mark.
fn encoded(line: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    for c in line.chars() {
        match u8::try_from(u32::from(c)) {
            Ok(byte @ (b'(' | b')' | b'\\')) => out.extend([b'\\', byte]),
            Ok(byte) if !c.is_control() => out.push(byte),
            _ => out.push(b'?'),
        }
    }
    out
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![report.title.clone()];
    lines.push(format!("Generated at {}. Rows: {}.", report.generated_at, report.frame.rows.len()));
    if !report.figures.is_empty() {
        let header = ["Column", "Count", "Sum", "Mean", "Smallest", "Largest", "Deviation"].map(str::to_owned);
        let figures = report.figures.iter().map(|(name, f)| {
            let [sum, mean, min, max, deviation] = [f.sum, f.mean, f.min, f.max, f.deviation].map(shown);
            vec![name.clone(), f.count.to_string(), sum, mean, min, max, deviation]
        });
        lines.push(String::new());
        lines.extend(table(&header, &figures.collect::<Vec<_>>()));
    }
    if !report.frame.rows.is_empty() {
        let columns = &report.frame.columns;
        let rows = report.shown().map(|row| columns.iter().map(|name| text_of(row.get(name))).collect());
        lines.push(String::new());
        lines.extend(table(columns, &rows.collect::<Vec<_>>()));
    }
    if report.left_out() > 0 {
        lines.push(format!("{} more rows are not shown.", report.left_out()));
    }
    lines.into_iter().map(|line| cut(&line, LETTERS)).collect()
}

/// Columns as wide as what they hold; what is too long ends in dots.
fn table(header: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let longest = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).chain(header.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(WIDEST)
    };
    let widths: Vec<usize> = (0..header.len()).map(longest).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", cut(cell, *width)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  ");
    [line(header), rule].into_iter().chain(rows.iter().map(|row| line(row))).collect()
}

fn cut(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let head: String = text.chars().take(letters.saturating_sub(3)).collect();
    format!("{head}...")
}
