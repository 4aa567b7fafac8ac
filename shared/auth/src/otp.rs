//! One-time passwords: TOTP (RFC 6238 over RFC 4226) and recovery codes.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use chrono::{DateTime, Utc};
use halyard_domain::Entropy;
use sha2::{Digest as _, Sha256};

/// Seconds of a time step (RFC 6238, section 5.2).
pub const PERIOD: i64 = 30;
/// Digits of a code.
pub const DIGITS: usize = 6;
/// Steps that a client's clock may be off by, either way.
const DRIFT: i64 = 1;
/// Bytes of a secret (RFC 4226, section 4, R6: 160 bits).
const SECRET: usize = 20;
/// How many recovery codes there are.
pub const RECOVERY_CODES: usize = 10;
/// Characters of a recovery code: 125 bits, more than the 112 above which ASVS 5 (6.5.2) takes a plain hash.
const RECOVERY_LENGTH: usize = 25;
/// Crockford's base 32 in lower case: nothing in it is mistaken for anything else.
const RECOVERY_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A secret shared with somebody's authenticator.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A new one, of 160 bits.
    pub fn new(entropy: &Entropy) -> Self {
        Self(entropy.bytes::<SECRET>().to_vec())
    }

    /// One that was kept.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its bytes as people type them: base 32 (RFC 4648, section 6), without padding.
    pub fn to_base32(&self) -> String {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut out = String::with_capacity(self.0.len().div_ceil(5) * 8);
        for block in self.0.chunks(5) {
            let bits = block.iter().enumerate().fold(0_u64, |n, (i, b)| n | u64::from(*b) << (32 - 8 * i));
            let chars = (block.len() * 8).div_ceil(5);
            out.extend((0..chars).map(|i| char::from(ALPHABET[((bits >> (35 - 5 * i)) & 31) as usize])));
        }
        out
    }

    /// What an authenticator scans: the key URI of Google Authenticator's wiki, which all of them read.
    pub fn to_uri(&self, issuer: &str, account: &str) -> String {
        let (issuer, account) = (percent(issuer), percent(account));
        let secret = self.to_base32();
        format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={PERIOD}"
        )
    }

    /// The code of a time step, of at most nine digits (RFC 4226, section 5.3).
    pub fn code(&self, step: i64, digits: usize) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag[tag.len() - 1] & 15);
        let word = tag[offset..offset + 4].iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) & 0x7fff_ffff;
        let modulus = 10_u32.pow(u32::try_from(digits.min(9)).unwrap_or(9));
        format!("{:0digits$}", word % modulus)
    }

    /// The time step whose code this is, at most one away from `now`; the earliest, so that a later one stays usable. That
    /// a step is used once is for the caller to see to.
    pub fn step_of(&self, code: &str, now: DateTime<Utc>) -> Option<i64> {
        let present = now.timestamp().div_euclid(PERIOD);
        let mut found = None;
        // All are compared, whichever it is.
        for step in (present - DRIFT..=present + DRIFT).rev() {
            if verify_slices_are_equal(self.code(step, DIGITS).as_bytes(), code.as_bytes()).is_ok() {
                found = Some(step);
            }
        }
        found
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A one-time password as somebody typed it.
#[derive(Clone, PartialEq, Eq)]
pub enum Typed {
    /// Six digits: from an authenticator.
    Code(String),
    /// A recovery code; what is kept of it.
    Recovery([u8; 32]),
}

impl Typed {
    /// Reads what was typed; spaces and hyphens are for the eye. `None` for what can be neither.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 64 {
            return None;
        }
        let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        if plain.len() == DIGITS && plain.bytes().all(|b| b.is_ascii_digit()) {
            return Some(Self::Code(plain));
        }
        let plain = plain.to_ascii_lowercase();
        let fits = plain.len() == RECOVERY_LENGTH && plain.bytes().all(|b| RECOVERY_ALPHABET.contains(&b));
        fits.then(|| Self::Recovery(Sha256::digest(plain.as_bytes()).into()))
    }
}

/// New recovery codes: as they are shown once, in five groups, and the SHA-256 that is kept of each.
pub fn recovery_codes(entropy: &Entropy) -> Vec<(String, [u8; 32])> {
    let code = |_| {
        let random: [u8; RECOVERY_LENGTH] = entropy.bytes();
        let plain: Vec<u8> = random.iter().map(|b| RECOVERY_ALPHABET[usize::from(b & 31)]).collect();
        let groups: Vec<String> = plain.chunks(5).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
        (groups.join("-"), Sha256::digest(&plain).into())
    };
    (0..RECOVERY_CODES).map(code).collect()
}

/// RFC 3986, section 2.3: all but the unreserved characters.
fn percent(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}
