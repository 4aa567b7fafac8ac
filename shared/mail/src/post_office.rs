//! From a row to SES.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use halyard_auth::token::MailToken;
use halyard_cloud::mail::{MailError, Mailer, Message};
use halyard_domain::{Entropy, MailId, mail::next_attempt};
use halyard_store::{
    Now, Pool, StoreError,
    mails::{self, Claimed, Settled},
};

use crate::words;

/// What whoever wrote a mail down spends on sending it, at most. Beat sends what is owed then.
const AT_ONCE: Duration = Duration::from_secs(2);
/// The name beside the sender's address.
const NAME: &str = "Halyard";

/// What a post office is made of.
#[derive(Debug)]
pub struct Parts {
    /// The mail service.
    pub mailer: Arc<dyn Mailer>,
    /// The sender's address; without one every mail is given up.
    pub from: Option<String>,
    /// Where links lead, without a slash at the end.
    pub public_url: String,
    /// Randomness, for tokens.
    pub entropy: Arc<Entropy>,
}

/// Sends mail that is owed. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct PostOffice(Arc<Parts>);

/// What became of some mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Taken by the mail service.
    pub sent: usize,
    /// To be tried again.
    pub again: usize,
    /// Given up.
    pub given_up: usize,
}

impl PostOffice {
    /// Over these.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Sends mails that the caller has just written down, as far as it goes within two seconds. Whatever happens, the caller
    /// has done what it was asked for: the mails are owed, and beat sends them.
    pub async fn at_once(&self, pool: &Pool, ids: &[MailId], now: Now) {
        match tokio::time::timeout(AT_ONCE, self.send(pool, ids, now)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a mail stays owed"),
            Err(_) => tracing::warn!("a mail stays owed: it could not be sent in time"),
        }
    }

    /// Sends those of these mails that nobody else is sending, side by side, each with a new token: up to ten or so.
    ///
    /// # Errors
    /// When the database does not answer. Mails that were sent and could not be noted are sent again.
    pub async fn send(&self, pool: &Pool, ids: &[MailId], now: Now) -> Result<Counts, StoreError> {
        let tokens: Vec<_> = ids.iter().map(|id| (*id, MailToken::new(&self.0.entropy))).collect();
        let letters: Vec<_> =
            tokens.iter().map(|(id, token)| mails::Letter { id: *id, token_hash: token.hash() }).collect();
        // The connection goes back while the mails are under way: there are few.
        let claimed = mails::claim(&mut *pool.acquire().await?, &letters, now).await?;
        let outcomes = join_all(claimed.iter().filter_map(|mail| {
            let (_, token) = tokens.iter().find(|(id, _)| *id == mail.id)?;
            Some(self.hand_over(mail, token))
        }));
        let outcomes = outcomes.await;
        // Also when there was none: whether a mail was owed shall not be told from what was asked of the database.
        mails::settle(&mut *pool.acquire().await?, &outcomes, now).await?;
        Ok(outcomes.iter().fold(Counts::default(), |mut counts, outcome| {
            match outcome {
                Settled::Sent(..) => counts.sent += 1,
                Settled::Again(..) => counts.again += 1,
                Settled::GivenUp(..) => counts.given_up += 1,
            }
            counts
        }))
    }

    async fn hand_over(&self, mail: &Claimed, token: &MailToken) -> Settled {
        let (id, kind) = (mail.id, mail.kind.as_str());
        if !mail.wanted {
            return Settled::GivenUp(id, "it was no longer of use".to_owned());
        }
        let Some(from) = &self.0.from else {
            tracing::warn!(%id, kind, "a mail is given up: MAIL_FROM is not set");
            return Settled::GivenUp(id, "MAIL_FROM is not set".to_owned());
        };
        match self.0.mailer.send(&self.message(from, mail, token)).await {
            Ok(message) => {
                tracing::info!(%id, kind, message, "a mail was sent");
                Settled::Sent(id, message)
            }
            Err(MailError::Refused(why)) => {
                // What SES says may name the address, which belongs in no log; it is in the row.
                tracing::warn!(%id, kind, "a mail was refused");
                Settled::GivenUp(id, why)
            }
            Err(error @ MailError::Unavailable(_)) => {
                tracing::warn!(%id, kind, attempt = mail.attempt, %error, "a mail could not be sent");
                match next_attempt(mail.attempt) {
                    Some(delay) => Settled::Again(id, error.to_string(), delay),
                    None => Settled::GivenUp(id, error.to_string()),
                }
            }
        }
    }

    fn message(&self, from: &str, mail: &Claimed, token: &MailToken) -> Message {
        let letter = words::letter(mail, token, &self.0.public_url);
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Message {
            from: format!("{NAME} <{from}>"),
            to: mail.recipient.clone(),
            subject: letter.subject,
            text: letter.text,
            html: letter.html,
            headers: vec![
                // RFC 3834: no machine shall answer a machine.
                header("Auto-Submitted", "auto-generated"),
                header("X-Auto-Response-Suppress", "All"),
                // The same at each attempt, whatever SES calls the message.
                header("X-Halyard-Mail", &mail.id.to_string()),
            ],
        }
    }
}
