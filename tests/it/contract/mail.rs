//! What every `Mailer` keeps: against the twin, and against the SES API.

use std::sync::Arc;

use aws_sdk_sesv2::Client;
use halyard_cloud::{
    iam::SEND_MAIL,
    mail::{Kept, MailError, MailTwin, Mailer, Message, SesMailer},
};
use halyard_domain::{Clock, SystemClock};
use halyard_gateway::{EmulatorInbox, Inbox};
use halyard_tests::{Scratch, environment::Servers, recorder::Recorder};

use super::aws::{settings, settings_for, unique};

/// A mail service under test, and the inbox of everybody.
struct Rig {
    mailer: Arc<dyn Mailer>,
    inbox: Arc<dyn Inbox>,
    /// A verified address, and one at a verified domain.
    senders: [String; 2],
}

impl Rig {
    fn twin() -> Self {
        let (address, domain) = ("sender@example.com".to_owned(), "example.org".to_owned());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let twin = MailTwin::in_memory(clock, vec![address.clone(), domain.clone()]).expect("a twin");
        let senders = [address, format!("anybody@{domain}")];
        Self { mailer: Arc::new(twin.clone()), inbox: Arc::new(twin), senders }
    }

    async fn ses() -> Self {
        let config = settings().sdk_config();
        let name = unique("s").to_lowercase();
        let (address, domain) = (format!("{name}@example.com"), format!("{name}.example.org"));
        for identity in [&address, &domain] {
            let made = Client::new(&config).create_email_identity().email_identity(identity).send().await;
            made.expect("an identity");
        }
        let inbox = EmulatorInbox::at(Servers::from_env().aws());
        let senders = [address, format!("anybody@{domain}")];
        Self { mailer: Arc::new(SesMailer::new(&config, None)), inbox: Arc::new(inbox), senders }
    }

    /// What was sent to an address, the newest first.
    async fn mails_to(&self, address: &str) -> Vec<Kept> {
        let mails = self.inbox.mails().await.expect("the inbox");
        mails.into_iter().filter(|mail| mail.message.to == address).collect()
    }
}

fn message(from: &str, to: &str) -> Message {
    Message {
        from: from.to_owned(),
        to: to.to_owned(),
        subject: "A subject with ä and \u{1F4EC}".to_owned(),
        text: "Text\n\nwith ä".to_owned(),
        html: "<p>HTML with ä</p>".to_owned(),
        headers: vec![("Auto-Submitted".to_owned(), "auto-generated".to_owned())],
    }
}

async fn a_mail_arrives_as_it_was_sent(rig: &Rig) {
    let to = format!("{}@example.net", unique("r"));
    let sent = message(&format!("Name <{}>", rig.senders[0]), &to);
    let id = rig.mailer.send(&sent).await.expect("taken");
    let kept = rig.mails_to(&to).await;
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].id.clone(), kept[0].message.text.clone()), (id, sent.text.clone()));
    assert_eq!((&kept[0].message.subject, &kept[0].message.html), (&sent.subject, &sent.html));
    assert_eq!(kept[0].message.from, sent.from);
}

async fn mail_comes_from_verified_addresses_and_domains_only(rig: &Rig) {
    for sender in &rig.senders {
        rig.mailer.send(&message(sender, "somebody@example.net")).await.expect("verified");
    }
    let stranger = rig.mailer.send(&message("stranger@elsewhere.example", "somebody@example.net")).await;
    assert!(matches!(&stranger, Err(MailError::Refused(why)) if why.contains("not verified")), "{stranger:?}");
}

async fn a_mail_that_is_sent_twice_arrives_twice(rig: &Rig) {
    let to = format!("{}@example.net", unique("r"));
    let mail = message(&rig.senders[0], &to);
    let (one, two) = (rig.mailer.send(&mail).await.expect("taken"), rig.mailer.send(&mail).await.expect("taken"));
    assert_ne!(one, two);
    assert_eq!(rig.mails_to(&to).await.len(), 2);
}

async fn what_is_no_mailbox_or_no_line_is_refused_before_anybody_is_asked(rig: &Rig) {
    let good = message(&rig.senders[0], "a@example.net");
    let long = format!("{}@example.net", "x".repeat(250));
    for to in [
        "",
        "a",
        "@example.net",
        "a@",
        "a@b.example, c@d.example",
        "a@b.example\r\nBcc: c@d.example",
        "A <a@b.example>",
        "a;b@c.example",
        "\u{e4}@b.example",
        "a@b\u{e4}.example",
        &long,
    ] {
        let refused = rig.mailer.send(&Message { to: to.to_owned(), ..good.clone() }).await;
        assert!(matches!(refused, Err(MailError::Refused(_))), "{to:?}: {refused:?}");
    }
    let header = |value: &str| Message { headers: vec![("X-A".to_owned(), value.to_owned())], ..good.clone() };
    let subject = |subject: &str| Message { subject: subject.to_owned(), ..good.clone() };
    for bad in [header("a\r\nBcc: c@d.example"), header("\u{e4}"), subject("a\r\nBcc: c@d.example"), subject("")] {
        let refused = rig.mailer.send(&bad).await;
        assert!(matches!(refused, Err(MailError::Refused(_))), "{bad:?}: {refused:?}");
    }
}

macro_rules! contract {
    ($($test:ident)+) => {
        mod twin {
            $(#[tokio::test] async fn $test() { super::$test(&super::Rig::twin()).await; })+
        }
        mod ses {
            $(#[tokio::test] async fn $test() { super::$test(&super::Rig::ses().await).await; })+
        }
    };
}

contract! {
    a_mail_arrives_as_it_was_sent
    mail_comes_from_verified_addresses_and_domains_only
    a_mail_that_is_sent_twice_arrives_twice
    what_is_no_mailbox_or_no_line_is_refused_before_anybody_is_asked
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable_and_asked_once() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let config = settings_for(Some(format!("http://{nobody}"))).sdk_config();
    let sent = SesMailer::new(&config, None).send(&message("a@example.com", "b@example.com")).await;
    assert!(matches!(sent, Err(MailError::Unavailable(_))), "{sent:?}");
}

#[tokio::test]
async fn a_mail_needs_the_permission_that_the_table_names() {
    let recorder = Recorder::before(Servers::from_env().aws()).await;
    let mailer = SesMailer::new(&settings_for(Some(recorder.endpoint())).sdk_config(), Some("a-set".to_owned()));
    drop(mailer.send(&message("a@example.com", "b@example.com")).await);
    let calls = recorder.take();
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((call.service.as_str(), call.operation.as_str()), ("ses", "POST /v2/email/outbound-emails"));
    assert_eq!(SEND_MAIL, "ses:SendEmail");
}

#[tokio::test]
async fn the_twin_keeps_mails_in_its_file() {
    let scratch = Scratch::new("mail");
    let path = scratch.path().join("mails.redb");
    let open = || {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        MailTwin::open(&path, clock, vec!["a@example.com".to_owned()]).expect("the file opens")
    };
    open().send(&message("a@example.com", "b@example.com")).await.expect("taken");
    let again = open();
    again.send(&message("a@example.com", "c@example.com")).await.expect("taken");
    let to: Vec<_> = again.mails().expect("mails").into_iter().map(|mail| mail.message.to).collect();
    assert_eq!(to, ["c@example.com", "b@example.com"]);
}
