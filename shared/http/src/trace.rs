//! W3C Trace Context, level 1: <https://www.w3.org/TR/trace-context/>.

use std::fmt;

/// What a `traceparent` header carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The whole trace; never zero.
    pub trace_id: [u8; 16],
    /// This step; never zero.
    pub span_id: [u8; 8],
    /// Bit 0: sampled.
    pub flags: u8,
}

impl TraceContext {
    /// Reads a header's value. `None` when it breaks the specification, and a new trace is to begin.
    pub fn parse(header: &str) -> Option<Self> {
        let mut fields = header.splitn(5, '-');
        let version = hex::<1>(fields.next()?)?[0];
        let (trace_id, span_id) = (hex::<16>(fields.next()?)?, hex::<8>(fields.next()?)?);
        let flags = hex::<1>(fields.next()?)?[0];
        // Version 00 ends here; a later version may go on after another dash; ff is forbidden.
        let version_ok = version != 0xff && (version != 0 || fields.next().is_none());
        let ids_ok = trace_id != [0; 16] && span_id != [0; 8];
        (version_ok && ids_ok).then_some(Self { trace_id, span_id, flags: flags & 1 })
    }

    /// The next step of the same trace.
    #[must_use]
    pub fn child(self, span_id: [u8; 8]) -> Self {
        Self { span_id: non_zero(span_id), ..self }
    }

    /// The first step of a new trace.
    pub fn root(trace_id: [u8; 16], span_id: [u8; 8]) -> Self {
        Self { trace_id: non_zero(trace_id), span_id: non_zero(span_id), flags: 1 }
    }

    /// The trace's id as 32 hexadecimal digits.
    pub fn trace_id_hex(&self) -> String {
        let mut out = String::with_capacity(32);
        push_hex(&mut out, &self.trace_id);
        out
    }

    /// The header's value.
    pub fn header(&self) -> String {
        let mut out = String::with_capacity(55);
        out.push_str("00-");
        push_hex(&mut out, &self.trace_id);
        out.push('-');
        push_hex(&mut out, &self.span_id);
        out.push('-');
        push_hex(&mut out, &[self.flags]);
        out
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.header())
    }
}

fn non_zero<const N: usize>(mut bytes: [u8; N]) -> [u8; N] {
    if bytes == [0; N] {
        bytes[N - 1] = 1;
    }
    bytes
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Lower-case only, as the specification has it.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != N * 2 {
        return None;
    }
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (slot, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *slot = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(out)
}
