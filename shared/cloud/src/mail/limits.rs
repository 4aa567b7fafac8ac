//! What SES takes, checked before it is asked, and by the twin.
//!
//! Source: Amazon SES API v2 Reference, `SendEmail`, `Destination` and `MessageHeader`; Developer Guide, "Service quotas".

use super::{MailError, Message};

/// The longest address (RFC 5321, section 4.5.3.1.3, without the angle brackets).
const LONGEST_ADDRESS: usize = 254;
/// The longest value of a header, in bytes.
const LONGEST_HEADER: usize = 870;
/// The largest mail that is sent from here; SES itself takes 40 MB.
const LARGEST: usize = 256 * 1024;

/// Refuses what no mail service delivers, and what one might read as more than one address.
///
/// # Errors
/// [`MailError::Refused`].
pub fn check(message: &Message) -> Result<(), MailError> {
    check_recipient(&message.to)?;
    let one_line = |text: &str| !text.chars().any(char::is_control);
    if !one_line(&message.from) || !one_line(&message.subject) || message.subject.is_empty() {
        return refused("sender and subject are one line each");
    }
    for (name, value) in &message.headers {
        let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !named || !value.is_ascii() || !one_line(value) || value.len() > LONGEST_HEADER {
            return refused(&format!("the header {name:?} is not one line of ASCII"));
        }
    }
    if message.text.len() + message.html.len() > LARGEST {
        return refused("it is too large");
    }
    Ok(())
}

/// One address and nothing else. The local part must be ASCII: SES does not speak SMTPUTF8 (RFC 6531).
fn check_recipient(address: &str) -> Result<(), MailError> {
    let Some((local, domain)) = address.rsplit_once('@') else { return refused("the address has no domain") };
    if !local.is_ascii() {
        return refused("the part of the address before the @ is not ASCII");
    }
    if !domain.is_ascii() {
        return refused("the domain of the address is not ASCII; its form in Punycode is");
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"(),:;<>@[\\]".contains(c);
    if local.is_empty()
        || domain.is_empty()
        || local.chars().any(odd)
        || domain.chars().any(odd)
        || address.len() > LONGEST_ADDRESS
    {
        return refused("it is not the address of one mailbox");
    }
    Ok(())
}

fn refused<T>(why: &str) -> Result<T, MailError> {
    Err(MailError::Refused(why.to_owned()))
}
