//! What each kind of mail says.

use chrono::Duration;
use halyard_auth::token::MailToken;
use halyard_domain::MailKind;
use halyard_store::mails::Claimed;

use crate::letter::{Letter, Part, write};

/// The words of a mail. The token is there for kinds that carry one; it stands behind the `#` of the link, the part of a URL
/// that a browser keeps to itself: no server and no log on the way sees it.
pub fn letter(mail: &Claimed, token: &MailToken, public_url: &str) -> Letter {
    let code = token.to_text();
    let link = |label, path: &str| Part::Link { label, url: format!("{public_url}{path}#token={code}") };
    let when = mail.created_at.format("%-d %B %Y, %H:%M UTC");
    let life = mail.kind.token_life().map(in_words).unwrap_or_default();
    match mail.kind {
        MailKind::VerifyEmail => write(
            "Confirm your e-mail address",
            &mail.name,
            &[
                Part::Say("please confirm that this is your e-mail address.".to_owned()),
                link("Confirm the address", "/auth/email/verify"),
                Part::Say(format!("The link works once, within {life}. Where it cannot be opened, use this code:")),
                Part::Code(code.clone()),
                Part::Say("If you have no account with us, somebody mistyped theirs: you need do nothing.".to_owned()),
            ],
        ),
        MailKind::ResetPassword => write(
            "Set a new password",
            &mail.name,
            &[
                Part::Say("somebody asked for a new password for your account. If it was you, set one here:".to_owned()),
                link("Set a new password", "/auth/password/reset"),
                Part::Say(format!(
                    "The link works once, within {life}, and ends every session. Where it cannot be opened, use this code:"
                )),
                Part::Code(code.clone()),
                Part::Say("If it was not you, you need do nothing: your password stays as it is.".to_owned()),
            ],
        ),
        MailKind::PasswordChanged => write(
            "Your password was changed",
            &mail.name,
            &[
                Part::Say(format!("the password of your account was changed on {when}.")),
                Part::Say(
                    "If it was you, you need do nothing. If it was not, ask for a new one at once, and tell whoever runs \
                     this service."
                        .to_owned(),
                ),
            ],
        ),
        MailKind::AddressClaimed => write(
            "Your e-mail address was given again",
            &mail.name,
            &[
                Part::Say(
                    "somebody gave your e-mail address for another account with us. It stays yours: nobody else can verify it, \
                     sign in with it or get mail there."
                        .to_owned(),
                ),
                Part::Say(
                    "If it was you, sign in to the account that you have; if you have forgotten its password, ask for a new \
                     one. If it was not you, you need do nothing."
                        .to_owned(),
                ),
            ],
        ),
        // Which one it does not say: a URL is what somebody wrote, and a mail program would make a link of it.
        MailKind::WebhookDisabled => write(
            "One of your webhooks was disabled",
            &mail.name,
            &[
                Part::Say(format!(
                    "on {when} one of your webhooks was disabled: its receiver said that it is gone, or has failed for days. \
                     Nothing is sent there any more."
                )),
                Part::Say(
                    "GET /tasks/webhooks/endpoints lists your webhooks and says why each was disabled. When its receiver works \
                     again, POST /tasks/webhooks/endpoints/enable enables it, and what was left out can be replayed."
                        .to_owned(),
                ),
            ],
        ),
        MailKind::EmailChanged => write(
            "Your e-mail address was changed",
            &mail.name,
            &[
                Part::Say(format!(
                    "your account has had another e-mail address since {when}. This one hears no more from it."
                )),
                Part::Say("If it was not you who changed it, tell whoever runs this service at once.".to_owned()),
            ],
        ),
    }
}

fn in_words(life: Duration) -> String {
    if life.num_minutes() < 60 {
        format!("{} minutes", life.num_minutes())
    } else {
        format!("{} hours", life.num_hours())
    }
}
