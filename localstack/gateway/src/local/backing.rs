//! Where queues, tables, buckets and functions are: in this process, or behind AWS's own APIs on this machine.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use halyard_cloud::{
    aws::AwsSettings,
    mail::MailTwin,
    objects::{BucketName, ObjectTwin},
    queue::{DeadLetter, Queue, QueueConfig, QueueName, QueueTwin, SqsQueue},
    table::{TableName, TableTwin},
};
use halyard_platform::Twins;

use super::{
    cli::{InvokeKind, ServeArgs},
    cloud, environments,
    error::LocalError,
    layout::Layout,
};
use crate::{EmulatorInbox, GatewayConfig, Inbox, InvokeConfig, Naming, template::Stack};

/// Which of them.
#[derive(Debug, Clone)]
pub enum Backing {
    /// Functions linked in, twins of SQS, DynamoDB, S3 and SES.
    Twins {
        /// The file of the tables.
        tables: PathBuf,
        /// The directory of the objects.
        objects: PathBuf,
        /// The file of the mails.
        mails: PathBuf,
    },
    /// Functions linked in; SQS, DynamoDB, S3 and SES at an endpoint, where everything is made already (`prepare`).
    Aws(AwsSettings),
    /// Functions behind Lambda's Invoke API; SQS, DynamoDB, S3 and SES at an endpoint.
    Endpoints {
        /// Of the functions.
        lambda: String,
        /// Of SQS and DynamoDB.
        aws: AwsSettings,
        /// What each function is to be started with is written there.
        environments: PathBuf,
    },
}

impl Backing {
    /// As the arguments of `serve` say.
    pub fn of(args: &ServeArgs, layout: &Layout) -> Self {
        match args.invoke {
            InvokeKind::InProcess => {
                Self::Twins { tables: layout.tables(), objects: layout.objects(), mails: layout.mails() }
            }
            InvokeKind::LambdaApi => Self::Endpoints {
                lambda: args.endpoint.clone(),
                aws: cloud::emulator(&args.aws_endpoint),
                environments: layout.data_dir.join("functions"),
            },
        }
    }

    /// The endpoint of SQS and `DynamoDB`, if they are elsewhere.
    pub fn aws(&self) -> Option<&str> {
        match self {
            Self::Twins { .. } => None,
            Self::Aws(aws) | Self::Endpoints { aws, .. } => aws.endpoint.as_deref(),
        }
    }

    /// Tells the gateway where it all is, and makes what this process alone has. Answers with the tables' twin, if there
    /// is one.
    ///
    /// # Errors
    /// When a file or an endpoint refuses.
    pub async fn connect(&self, config: &mut GatewayConfig) -> Result<Option<TableTwin>, LocalError> {
        match self {
            Self::Twins { tables, objects, mails } => {
                let (queue, table) = twins(config, tables)?;
                let objects = buckets(config, objects)?;
                let mail = mailboxes(config, mails)?;
                config.twins = Some(Twins {
                    queue,
                    table: Arc::new(table.clone()),
                    objects: Arc::new(objects.clone()),
                    mail: Arc::new(mail.clone()),
                });
                config.objects = Some(objects);
                config.inbox = Some(Arc::new(mail));
                return Ok(Some(table));
            }
            Self::Aws(aws) => {
                config.queue = Some(queue(config, aws));
                config.vars.extend(variables(aws));
            }
            Self::Endpoints { lambda, aws, environments } => {
                cloud::make(&config.stack, aws, None, cloud::sender(&config.stack)).await?;
                config.inbox = aws.endpoint.as_deref().map(|at| Arc::new(EmulatorInbox::at(at)) as Arc<dyn Inbox>);
                config.queue = Some(queue(config, aws));
                config.invoke = InvokeConfig::LambdaApi { endpoint: lambda.clone(), naming: Naming::Binary };
                environments::write(config, environments, &variables(aws))?;
            }
        }
        Ok(None)
    }
}

fn queue(config: &GatewayConfig, aws: &AwsSettings) -> Arc<dyn Queue> {
    let endpoint = aws.endpoint.as_deref().unwrap_or_default().trim_end_matches('/');
    let account = format!("{endpoint}/{}/", config.stack.account);
    Arc::new(SqsQueue::with_prefix(&aws.sdk_config(), &account))
}

/// The variables from which a function makes the same settings again.
fn variables(aws: &AwsSettings) -> BTreeMap<String, String> {
    let mut vars = BTreeMap::from([("AWS_REGION".to_owned(), aws.region.clone())]);
    vars.extend(aws.endpoint.clone().map(|endpoint| ("AWS_ENDPOINT_URL".to_owned(), endpoint)));
    if let Some(keys) = &aws.credentials {
        vars.insert("AWS_ACCESS_KEY_ID".to_owned(), keys.access_key_id.clone());
        vars.insert("AWS_SECRET_ACCESS_KEY".to_owned(), keys.secret_access_key.clone());
        vars.extend(keys.session_token.clone().map(|token| ("AWS_SESSION_TOKEN".to_owned(), token)));
    }
    vars
}

/// Queues in memory (they may forget), tables in a file.
fn twins(config: &GatewayConfig, path: &Path) -> Result<(Arc<dyn Queue>, TableTwin), LocalError> {
    let names = config.stack.tables.values().map(|table| TableName(table.name.clone()));
    let damaged = |why: String| LocalError::Damaged { path: path.into(), why };
    let table = TableTwin::open(path, names).map_err(|e| damaged(e.to_string()))?;
    let queue = QueueTwin::new(Arc::clone(&config.clock), queues(&config.stack));
    let queue = queue.map_err(|e| LocalError::Gateway(e.to_string()))?;
    Ok((Arc::new(queue), table))
}

/// Objects in files, for as long as the template says.
fn buckets(config: &GatewayConfig, path: &Path) -> Result<ObjectTwin, LocalError> {
    let buckets = config.stack.buckets.values().map(|bucket| (BucketName(bucket.name.clone()), bucket.keep_days));
    let opened = ObjectTwin::open(path, Arc::clone(&config.clock), Arc::clone(&config.entropy), buckets);
    opened.map_err(LocalError::io("read", path))
}

/// Mail may come from the one sender that the template names.
fn mailboxes(config: &GatewayConfig, path: &Path) -> Result<MailTwin, LocalError> {
    let senders = cloud::sender(&config.stack).map(str::to_owned).into_iter().collect();
    let opened = MailTwin::open(path, Arc::clone(&config.clock), senders);
    opened.map_err(|e| LocalError::Damaged { path: path.into(), why: e.to_string() })
}

fn queues(stack: &Stack) -> impl Iterator<Item = QueueConfig> {
    stack.queues.values().map(|queue| {
        let redrive = queue.redrive.as_ref().and_then(|redrive| Some((stack.queues.get(&redrive.queue)?, redrive)));
        QueueConfig {
            name: QueueName(queue.name.clone()),
            visibility: queue.visibility,
            delay: queue.delay,
            retention: queue.retention,
            dead_letter: redrive.map(|(dead, redrive)| DeadLetter {
                queue: QueueName(dead.name.clone()),
                max_receive_count: redrive.max_receive_count,
            }),
        }
    })
}
