//! Which character divides the fields.

/// The delimiter that a text names: one ASCII character, or the two characters `\t`.
pub fn delimiter_byte(text: &str) -> Option<u8> {
    match text.as_bytes() {
        b"\\t" => Some(b'\t'),
        [b'"' | b'\r' | b'\n'] => None,
        [byte] if byte.is_ascii() => Some(*byte),
        _ => None,
    }
}

/// The delimiter that occurs most often in the header outside quotes; a comma when none does.
pub fn detect(csv: &str) -> u8 {
    const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];
    let mut counts = [0_usize; 4];
    let mut quoted = false;
    for byte in csv.trim_start_matches(['\u{feff}', '\r', '\n']).bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\r' | b'\n' if !quoted => break,
            _ if quoted => {}
            _ => {
                if let Some(slot) = CANDIDATES.iter().position(|&c| c == byte) {
                    counts[slot] += 1;
                }
            }
        }
    }
    // The first of equals: `max_by_key` would take the last.
    let best = (0..4).rev().max_by_key(|&slot| counts[slot]).unwrap_or(0);
    CANDIDATES[best]
}
