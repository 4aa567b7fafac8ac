//! What a test's users find in their mailboxes.

use halyard_cloud::mail::{Kept, MailError};

use crate::app::TestApp;

impl TestApp {
    /// Every mail that was sent, the newest first.
    pub fn mails(&self) -> Vec<Kept> {
        self.parts.inbox.mails().expect("the inbox")
    }

    /// Those to one address.
    pub fn mails_to(&self, address: &str) -> Vec<Kept> {
        self.mails().into_iter().filter(|mail| mail.message.to == address).collect()
    }

    /// Their subjects.
    pub fn subjects_to(&self, address: &str) -> Vec<String> {
        self.mails_to(address).into_iter().map(|mail| mail.message.subject).collect()
    }

    /// The token in the newest mail to an address under a subject.
    ///
    /// # Panics
    /// When there is no such mail, or no token in it.
    pub fn mailed_token(&self, address: &str, subject: &str) -> String {
        let mails = self.mails_to(address);
        let mail = mails.iter().find(|mail| mail.message.subject == subject);
        let mail = mail.unwrap_or_else(|| panic!("no mail {subject:?} to {address}: {:?}", self.subjects_to(address)));
        let (_, token) = mail.message.text.split_once("#token=").expect("a link with a token");
        token.split_whitespace().next().expect("a token").to_owned()
    }

    /// The address of this account counts from now on, as if its owner had followed the link of a mail.
    pub async fn verify_address_of(&self, name: &str) {
        self.execute(&format!("update users set email_verified = true where lower(username) = lower('{name}')")).await;
    }

    /// Makes the mail service fail, or work again.
    pub fn break_mail(&self, error: Option<MailError>) {
        self.parts.mailer.set_broken(error);
    }
}
