//! A queue service and a mail service that can be made to fail.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use halyard_cloud::{
    mail::{MailError, Mailer, Message},
    queue::{Depth, Outgoing, Queue, QueueError, QueueName, Received},
};

/// The queues behind a switch.
#[derive(Debug)]
pub struct UnreliableQueue {
    inner: Arc<dyn Queue>,
    broken: AtomicBool,
}

impl UnreliableQueue {
    /// Works until it is broken.
    pub fn new(inner: Arc<dyn Queue>) -> Self {
        Self { inner, broken: AtomicBool::new(false) }
    }

    /// Breaks it, or mends it.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), QueueError> {
        let broken = self.broken.load(Ordering::SeqCst);
        if broken { Err(QueueError::Unavailable("the test broke it".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl Queue for UnreliableQueue {
    async fn send(&self, queue: &QueueName, messages: &[Outgoing]) -> Result<Vec<usize>, QueueError> {
        self.check()?;
        self.inner.send(queue, messages).await
    }

    async fn receive(
        &self,
        queue: &QueueName,
        max: u32,
        wait: Duration,
        visibility: Option<Duration>,
    ) -> Result<Vec<Received>, QueueError> {
        self.check()?;
        self.inner.receive(queue, max, wait, visibility).await
    }

    async fn delete(&self, queue: &QueueName, receipt_handles: &[String]) -> Result<(), QueueError> {
        self.check()?;
        self.inner.delete(queue, receipt_handles).await
    }

    async fn change_visibility(
        &self,
        queue: &QueueName,
        receipt_handle: &str,
        timeout: Duration,
    ) -> Result<(), QueueError> {
        self.check()?;
        self.inner.change_visibility(queue, receipt_handle, timeout).await
    }

    async fn purge(&self, queue: &QueueName) -> Result<(), QueueError> {
        self.check()?;
        self.inner.purge(queue).await
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        self.check()?;
        self.inner.depth(queue).await
    }
}

/// The mail service behind a switch.
#[derive(Debug)]
pub struct UnreliableMailer {
    inner: Arc<dyn Mailer>,
    broken: Mutex<Option<MailError>>,
}

impl UnreliableMailer {
    /// Works until it is broken.
    pub fn new(inner: Arc<dyn Mailer>) -> Self {
        Self { inner, broken: Mutex::new(None) }
    }

    /// Breaks it so that it says this, or mends it.
    pub fn set_broken(&self, error: Option<MailError>) {
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

#[async_trait]
impl Mailer for UnreliableMailer {
    async fn send(&self, message: &Message) -> Result<String, MailError> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match broken {
            Some(error) => Err(error),
            None => self.inner.send(message).await,
        }
    }
}
