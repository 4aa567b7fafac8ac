//! The adapter over SES.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use aws_config::{SdkConfig, retry::RetryConfig};
use aws_sdk_sesv2::{
    Client,
    config::Builder,
    error::{BuildError, ProvideErrorMetadata, SdkError},
    types::{Body, Content, Destination, EmailContent, Message as SesMessage, MessageHeader},
};

use super::{MailError, Mailer, Message, limits};
use crate::{
    aws::{self, Fault},
    round_trips,
};

/// What SES may take over a mail beyond what an attempt may take anyway.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// SES, or an emulator of it.
#[derive(Clone)]
pub struct SesMailer {
    client: Client,
    configuration_set: Option<String>,
}

impl fmt::Debug for SesMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SesMailer").field("configuration_set", &self.configuration_set).finish_non_exhaustive()
    }
}

impl SesMailer {
    /// Sends with this configuration set, if any.
    pub fn new(config: &SdkConfig, configuration_set: Option<String>) -> Self {
        // No repetition by the SDK: a mail whose answer was lost would be sent twice.
        let config =
            Builder::from(config).retry_config(RetryConfig::disabled()).timeout_config(aws::timeouts(PATIENCE));
        Self { client: Client::from_conf(config.build()), configuration_set }
    }
}

#[async_trait]
impl Mailer for SesMailer {
    async fn send(&self, message: &Message) -> Result<String, MailError> {
        limits::check(message)?;
        round_trips::MAIL.add(1);
        let content = content(message).map_err(|e| MailError::Refused(e.to_string()))?;
        let answer = self
            .client
            .send_email()
            .from_email_address(&message.from)
            .destination(Destination::builder().to_addresses(&message.to).build())
            .content(content)
            .set_configuration_set_name(self.configuration_set.clone())
            .send()
            .await
            .map_err(|e| error(&e))?;
        Ok(answer.message_id.unwrap_or_default())
    }
}

fn content(message: &Message) -> Result<EmailContent, BuildError> {
    let text = |data: &str| Content::builder().data(data).charset("UTF-8").build();
    let body = Body::builder().text(text(&message.text)?).html(text(&message.html)?).build();
    let mut simple = SesMessage::builder().subject(text(&message.subject)?).body(body);
    for (name, value) in &message.headers {
        simple = simple.headers(MessageHeader::builder().name(name).value(value).build()?);
    }
    Ok(EmailContent::builder().simple(simple.build()).build())
}

/// The codes that say that this mail is wrong, whenever it is sent. The others (a quota, a paused account, a domain or a
/// configuration set that is not there) somebody mends, and the mail goes out then.
/// Source: Amazon SES API v2 Reference, `SendEmail`, errors.
const REFUSALS: &[&str] = &["BadRequestException", "MessageRejected"];

fn error<E>(error: &SdkError<E>) -> MailError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match aws::fault(error) {
        Fault::Code(code, why) if REFUSALS.contains(&code.as_str()) => MailError::Refused(why),
        Fault::Code(_, why) | Fault::Silence(why) => MailError::Unavailable(why),
    }
}
