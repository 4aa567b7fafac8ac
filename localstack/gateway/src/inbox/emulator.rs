//! The mails that MiniStack's SES was given, by its own endpoint for looking at them. (LocalStack has one of another form.)

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use halyard_cloud::mail::{Kept, MailError, Message};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;

use super::Inbox;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an emulator keeps.
#[derive(Debug)]
pub struct EmulatorInbox {
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

#[derive(Deserialize)]
struct Answer {
    /// By account.
    messages: std::collections::BTreeMap<String, Vec<Sent>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sent {
    message_id: String,
    source: String,
    to: Vec<String>,
    subject: String,
    #[serde(default)]
    body_text: Option<String>,
    #[serde(default)]
    body_html: Option<String>,
    /// Seconds.
    timestamp: f64,
}

impl EmulatorInbox {
    /// Of the emulator at this endpoint.
    pub fn at(endpoint: &str) -> Self {
        let url = format!("{}/_ministack/ses/messages", endpoint.trim_end_matches('/'));
        Self { url, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    async fn read(&self) -> Result<Bytes, String> {
        let url = self.url.parse().map_err(|e: http::uri::InvalidUri| e.to_string())?;
        let answer = self.client.get(url).await.map_err(|e| e.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("{} answers {}", self.url, answer.status()));
        }
        answer.into_body().collect().await.map(http_body_util::Collected::to_bytes).map_err(|e| e.to_string())
    }
}

#[async_trait]
impl Inbox for EmulatorInbox {
    async fn mails(&self) -> Result<Vec<Kept>, MailError> {
        let read = tokio::time::timeout(PATIENCE, self.read()).await;
        let read = read.unwrap_or_else(|_| Err(format!("{} does not answer", self.url)));
        let text = read.map_err(MailError::Unavailable)?;
        let answer: Answer = serde_json::from_slice(&text).map_err(|e| MailError::Unavailable(e.to_string()))?;
        let mut mails: Vec<Kept> = answer.messages.into_values().flatten().map(kept).collect();
        mails.sort_by_key(|mail| std::cmp::Reverse(mail.at));
        Ok(mails)
    }
}

fn kept(sent: Sent) -> Kept {
    #[expect(clippy::cast_possible_truncation, reason = "a time in milliseconds")]
    let millis = (sent.timestamp * 1e3) as i64;
    Kept {
        id: sent.message_id,
        at: DateTime::from_timestamp_millis(millis).unwrap_or_default(),
        message: Message {
            from: sent.source,
            to: sent.to.join(", "),
            subject: sent.subject,
            text: sent.body_text.unwrap_or_default(),
            html: sent.body_html.unwrap_or_default(),
            // It keeps none.
            headers: Vec::new(),
        },
    }
}
