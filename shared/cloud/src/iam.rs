//! What IAM must allow for each operation of the adapters. It stands beside them because only they know which calls they
//! make; a test asks each on the wire.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys" for Amazon SQS, Amazon DynamoDB, Amazon S3,
//! AWS Secrets Manager and Amazon Simple Email Service v2. The batch operations of SQS need the permission of the single one.

/// An operation of [`Queue`](crate::queue::Queue).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueOperation {
    /// `send`
    Send,
    /// `receive`
    Receive,
    /// `delete`
    Delete,
    /// `change_visibility`
    ChangeVisibility,
    /// `purge`
    Purge,
    /// `depth`
    Depth,
}

impl QueueOperation {
    /// What the adapter over SQS needs on the queue.
    pub fn action(self) -> &'static str {
        match self {
            Self::Send => "sqs:SendMessage",
            Self::Receive => "sqs:ReceiveMessage",
            Self::Delete => "sqs:DeleteMessage",
            Self::ChangeVisibility => "sqs:ChangeMessageVisibility",
            Self::Purge => "sqs:PurgeQueue",
            Self::Depth => "sqs:GetQueueAttributes",
        }
    }
}

/// An operation of [`Table`](crate::table::Table).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableOperation {
    /// `get`
    Get,
    /// `put`
    Put,
    /// `put_all`
    PutAll,
    /// `delete`
    Delete,
    /// `query`
    Query,
}

impl TableOperation {
    /// What the adapter over `DynamoDB` needs on the table.
    pub fn action(self) -> &'static str {
        match self {
            Self::Get => "dynamodb:GetItem",
            Self::Put => "dynamodb:PutItem",
            Self::PutAll => "dynamodb:BatchWriteItem",
            Self::Delete => "dynamodb:DeleteItem",
            Self::Query => "dynamodb:Query",
        }
    }
}

/// An operation of [`Objects`](crate::objects::Objects).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectOperation {
    /// `put`
    Put,
    /// `get`
    Get,
    /// `link`
    Link,
}

impl ObjectOperation {
    /// What the adapter over S3 needs on the object. A link asks for nothing when it is made: whoever follows it reads with the right
    /// of the role that signed it.
    pub fn action(self) -> &'static str {
        match self {
            Self::Put => "s3:PutObject",
            Self::Get | Self::Link => "s3:GetObject",
        }
    }
}

/// What [`Secrets::get`](crate::secrets::Secrets::get) needs on the secret.
pub const READ_SECRET: &str = "secretsmanager:GetSecretValue";

/// What [`Lambda::invoke`](crate::functions::Lambda::invoke) needs on the function, or on its version or alias.
pub const INVOKE_FUNCTION: &str = "lambda:InvokeFunction";

/// What [`Mailer::send`](crate::mail::Mailer::send) needs on the identity that a mail comes from, and on the configuration
/// set, if there is one.
pub const SEND_MAIL: &str = "ses:SendEmail";
