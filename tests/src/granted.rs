//! The template's roles, kept: every function's queues, tables, buckets and mailboxes refuse what its role does not grant,
//! as AWS would, and a ledger remembers what each function asked for. Every application of every test runs like this.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use halyard_cloud::{
    iam::{ObjectOperation, QueueOperation, SEND_MAIL, TableOperation},
    mail::{MailError, Mailer, Message, address_of},
    objects::{BucketName, ObjectError, Objects},
    queue::{Depth, Outgoing, Queue, QueueError, QueueName, Received},
    table::{Condition, Item, Page, Table, TableError, TableName},
};
use halyard_gateway::{
    Registry, functions,
    template::{Grants, Stack},
};
use halyard_platform::{Host, Twins};

/// An action on a resource: `sqs:SendMessage`, `arn:aws:sqs:..`.
pub type Use = (String, String);

/// What functions asked for, by logical id.
#[derive(Debug, Default)]
pub struct Ledger {
    used: Mutex<BTreeMap<String, BTreeSet<Use>>>,
    denied: Mutex<BTreeSet<String>>,
}

impl Ledger {
    /// Everything that was asked for so far.
    pub fn used(&self) -> BTreeMap<String, BTreeSet<Use>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was asked for and not granted.
    pub fn denied(&self) -> BTreeSet<String> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Halyard's functions, each inside its role.
pub fn registry(stack: &Stack, grants: &BTreeMap<String, Grants>, ledger: &Arc<Ledger>) -> Registry {
    let all = functions::halyard();
    stack.functions.values().fold(Registry::new(), |registry, function| {
        let init = all.get(&function.binary).unwrap_or_else(|| panic!("no code for {}", function.binary));
        let role = Arc::new(Role::new(stack, &function.id, &grants[&function.id], ledger));
        registry.with(function.binary.clone(), move |host| {
            let (init, role) = (Arc::clone(&init), Arc::clone(&role));
            Box::pin(async move {
                let twins = host.twins.clone().map(|twins| Twins {
                    queue: Arc::new(GrantedQueue { inner: twins.queue, role: Arc::clone(&role) }),
                    table: Arc::new(GrantedTable { inner: twins.table, role: Arc::clone(&role) }),
                    mail: Arc::new(GrantedMailer { inner: twins.mail, role: Arc::clone(&role) }),
                    objects: Arc::new(GrantedObjects { inner: twins.objects, role }),
                });
                let (clock, entropy) = (Arc::clone(&host.clock), Arc::clone(&host.entropy));
                init(&Host::new(host.vars.clone(), host.function.clone(), clock, entropy, twins)).await
            })
        })
    })
}

/// One function's role.
struct Role {
    function: String,
    allowed: BTreeSet<Use>,
    /// How the partition keys begin that it may write; `None`: as they like.
    keys: Option<Vec<String>>,
    queues: BTreeMap<String, String>,
    tables: String,
    identities: String,
    ledger: Arc<Ledger>,
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Role").field("function", &self.function).finish_non_exhaustive()
    }
}

impl Role {
    fn new(stack: &Stack, function: &str, grants: &Grants, ledger: &Arc<Ledger>) -> Self {
        Self {
            function: function.to_owned(),
            allowed: allowed(grants),
            keys: leading_keys(grants),
            queues: stack.queues.values().map(|q| (q.name.clone(), q.arn.clone())).collect(),
            tables: format!("arn:aws:dynamodb:{}:{}:table/", stack.region, stack.account),
            identities: format!("arn:aws:ses:{}:{}:identity/", stack.region, stack.account),
            ledger: Arc::clone(ledger),
        }
    }

    fn ask(&self, action: &str, resource: String) -> Result<(), String> {
        let wanted = (action.to_owned(), resource);
        let granted = self.allowed.contains(&wanted);
        let message = format!("AccessDenied: {} may not {action} on {}", self.function, wanted.1);
        let mut used = self.ledger.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.entry(self.function.clone()).or_default().insert(wanted);
        drop(used);
        if granted { Ok(()) } else { Err(self.deny(message)) }
    }

    fn deny(&self, message: String) -> String {
        self.ledger.denied.lock().unwrap_or_else(PoisonError::into_inner).insert(message.clone());
        message
    }

    /// May it write into this partition?
    fn key(&self, pk: &str) -> Result<(), TableError> {
        let may = self.keys.as_ref().is_none_or(|keys| keys.iter().any(|key| pk.starts_with(key.as_str())));
        let message = || format!("AccessDenied: {} may not write into {pk}", self.function);
        may.then_some(()).ok_or_else(|| TableError::Unavailable(self.deny(message())))
    }

    fn queue(&self, operation: QueueOperation, queue: &QueueName) -> Result<(), QueueError> {
        let arn = self.queues.get(&queue.0).cloned().unwrap_or_else(|| queue.0.clone());
        self.ask(operation.action(), arn).map_err(QueueError::Unavailable)
    }

    fn mail(&self, from: &str) -> Result<(), MailError> {
        self.ask(SEND_MAIL, format!("{}{}", self.identities, address_of(from))).map_err(MailError::Unavailable)
    }

    /// Objects are granted by the first part of their keys.
    fn object(&self, operation: ObjectOperation, bucket: &BucketName, key: &str) -> Result<(), ObjectError> {
        let below = key.split('/').next().unwrap_or_default();
        self.ask(operation.action(), format!("arn:aws:s3:::{bucket}/{below}/*")).map_err(ObjectError::Unavailable)
    }

    fn table(&self, operation: TableOperation, table: &TableName) -> Result<(), TableError> {
        self.ask(operation.action(), format!("{}{table}", self.tables)).map_err(TableError::Unavailable)
    }
}

/// Every action on every resource that a role allows, wildcards as they are.
pub fn allowed(grants: &Grants) -> BTreeSet<Use> {
    let allows = grants.statements.iter().filter(|statement| statement.allows);
    let pairs = allows.flat_map(|statement| {
        let actions = statement.actions.iter();
        actions.flat_map(|action| statement.resources.iter().map(move |on| (action.clone(), on.clone())))
    });
    pairs.collect()
}

/// The beginnings of the partition keys that a role may put, where every statement that lets it put names some.
fn leading_keys(grants: &Grants) -> Option<Vec<String>> {
    let put = TableOperation::Put.action();
    let puts = grants.statements.iter().filter(|s| s.allows && s.actions.iter().any(|action| action == put));
    let mut beginnings = Vec::new();
    for statement in puts {
        let keys = statement.condition.pointer("/ForAllValues:StringLike/dynamodb:LeadingKeys")?.as_array()?;
        beginnings.extend(keys.iter().filter_map(|key| Some(key.as_str()?.strip_suffix('*')?.to_owned())));
    }
    Some(beginnings)
}

#[derive(Debug)]
struct GrantedQueue {
    inner: Arc<dyn Queue>,
    role: Arc<Role>,
}

#[async_trait]
impl Queue for GrantedQueue {
    async fn send(&self, queue: &QueueName, messages: &[Outgoing]) -> Result<Vec<usize>, QueueError> {
        self.role.queue(QueueOperation::Send, queue)?;
        self.inner.send(queue, messages).await
    }

    async fn receive(
        &self,
        queue: &QueueName,
        max: u32,
        wait: Duration,
        visibility: Option<Duration>,
    ) -> Result<Vec<Received>, QueueError> {
        self.role.queue(QueueOperation::Receive, queue)?;
        self.inner.receive(queue, max, wait, visibility).await
    }

    async fn delete(&self, queue: &QueueName, receipt_handles: &[String]) -> Result<(), QueueError> {
        self.role.queue(QueueOperation::Delete, queue)?;
        self.inner.delete(queue, receipt_handles).await
    }

    async fn change_visibility(
        &self,
        queue: &QueueName,
        receipt_handle: &str,
        timeout: Duration,
    ) -> Result<(), QueueError> {
        self.role.queue(QueueOperation::ChangeVisibility, queue)?;
        self.inner.change_visibility(queue, receipt_handle, timeout).await
    }

    async fn purge(&self, queue: &QueueName) -> Result<(), QueueError> {
        self.role.queue(QueueOperation::Purge, queue)?;
        self.inner.purge(queue).await
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        self.role.queue(QueueOperation::Depth, queue)?;
        self.inner.depth(queue).await
    }
}

#[derive(Debug)]
struct GrantedTable {
    inner: Arc<dyn Table>,
    role: Arc<Role>,
}

#[async_trait]
impl Table for GrantedTable {
    async fn get(&self, table: &TableName, pk: &str, sk: &str) -> Result<Option<Item>, TableError> {
        self.role.table(TableOperation::Get, table)?;
        self.inner.get(table, pk, sk).await
    }

    async fn put(&self, table: &TableName, item: Item, condition: Condition) -> Result<(), TableError> {
        self.role.table(TableOperation::Put, table)?;
        self.role.key(&item.pk)?;
        self.inner.put(table, item, condition).await
    }

    async fn put_all(&self, table: &TableName, items: Vec<Item>) -> Result<(), TableError> {
        self.role.table(TableOperation::PutAll, table)?;
        self.inner.put_all(table, items).await
    }

    async fn delete(&self, table: &TableName, pk: &str, sk: &str, condition: Condition) -> Result<(), TableError> {
        self.role.table(TableOperation::Delete, table)?;
        self.inner.delete(table, pk, sk, condition).await
    }

    async fn query(&self, table: &TableName, pk: &str, after: Option<&str>, limit: u32) -> Result<Page, TableError> {
        self.role.table(TableOperation::Query, table)?;
        self.inner.query(table, pk, after, limit).await
    }
}

#[derive(Debug)]
struct GrantedMailer {
    inner: Arc<dyn Mailer>,
    role: Arc<Role>,
}

#[async_trait]
impl Mailer for GrantedMailer {
    async fn send(&self, message: &Message) -> Result<String, MailError> {
        self.role.mail(&message.from)?;
        self.inner.send(message).await
    }
}

#[derive(Debug)]
struct GrantedObjects {
    inner: Arc<dyn Objects>,
    role: Arc<Role>,
}

#[async_trait]
impl Objects for GrantedObjects {
    async fn put(&self, bucket: &BucketName, key: &str, body: Bytes, content_type: &str) -> Result<(), ObjectError> {
        self.role.object(ObjectOperation::Put, bucket, key)?;
        self.inner.put(bucket, key, body, content_type).await
    }

    async fn get(&self, bucket: &BucketName, key: &str) -> Result<Option<Bytes>, ObjectError> {
        self.role.object(ObjectOperation::Get, bucket, key)?;
        self.inner.get(bucket, key).await
    }

    async fn link(
        &self,
        bucket: &BucketName,
        key: &str,
        valid: Duration,
        now: SystemTime,
    ) -> Result<String, ObjectError> {
        self.role.object(ObjectOperation::Link, bucket, key)?;
        self.inner.link(bucket, key, valid, now).await
    }
}
