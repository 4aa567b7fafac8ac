//! `/auth/2fa`: one-time passwords from an authenticator (TOTP, RFC 6238), recovery codes for when it is lost.

mod confirm;
mod recovery_codes;
mod remove;
mod setup;
mod status;

pub use confirm::{describe as describe_confirm, handler as confirm};
pub use recovery_codes::{describe as describe_recovery_codes, handler as recovery_codes};
pub use remove::{describe as describe_remove, handler as remove};
pub use setup::{describe as describe_setup, handler as setup};
pub use status::{describe as describe_status, handler as status};

use halyard_auth::otp;
use halyard_domain::Entropy;

/// New recovery codes: as they are shown, and what is kept of them.
fn new_codes(entropy: &Entropy) -> (Vec<String>, Vec<Vec<u8>>) {
    otp::recovery_codes(entropy).into_iter().map(|(shown, kept)| (shown, kept.to_vec())).unzip()
}
