//! A table service that can be made to fail, to lose its answers, and to stop in the middle of a request.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use halyard_cloud::table::{Condition, Item, Page, Table, TableError, TableName};
use tokio::sync::Semaphore;

/// Where a request stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A read that has read, before it answers.
    AfterRead,
    /// A write that was sent, before it is done.
    BeforeWrite,
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not done, and the caller hears so.
    Refused,
    /// It is done, and the caller does not hear.
    AnswerLost,
}

/// The tables behind switches. Rules go by the beginning of the sort key and count for one request each.
#[derive(Debug)]
pub struct UnreliableTable {
    inner: Arc<dyn Table>,
    broken: AtomicBool,
    holds: Mutex<Vec<(Moment, String, Arc<Gate>)>>,
    faults: Mutex<Vec<(Fault, String)>>,
}

#[derive(Debug)]
struct Gate {
    reached: Semaphore,
    released: Semaphore,
}

/// A request that is stopped, or will be.
#[derive(Debug)]
pub struct Held(Arc<Gate>);

impl Held {
    /// Waits until the request has got there.
    pub async fn reached(&self) {
        self.0.reached.acquire().await.expect("a gate that nobody closes").forget();
    }

    /// Lets it go on.
    pub fn release(self) {
        self.0.released.add_permits(1);
    }
}

impl UnreliableTable {
    /// Works until it is told otherwise.
    pub fn new(inner: Arc<dyn Table>) -> Self {
        Self { inner, broken: AtomicBool::new(false), holds: Mutex::default(), faults: Mutex::default() }
    }

    /// Breaks it, or mends it.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// Stops the next request at `moment` whose sort key begins so.
    pub fn hold(&self, moment: Moment, sort_key: &str) -> Held {
        let gate = Arc::new(Gate { reached: Semaphore::new(0), released: Semaphore::new(0) });
        lock(&self.holds).push((moment, sort_key.to_owned(), Arc::clone(&gate)));
        Held(gate)
    }

    /// Spoils the next write whose sort key begins so.
    pub fn spoil(&self, fault: Fault, sort_key: &str) {
        lock(&self.faults).push((fault, sort_key.to_owned()));
    }

    fn check(&self) -> Result<(), TableError> {
        let broken = self.broken.load(Ordering::SeqCst);
        if broken { Err(unavailable()) } else { Ok(()) }
    }

    async fn pass(&self, moment: Moment, sort_key: &str) {
        let gate = take(&self.holds, |(at, prefix, _)| *at == moment && sort_key.starts_with(prefix.as_str()));
        if let Some((_, _, gate)) = gate {
            gate.reached.add_permits(1);
            gate.released.acquire().await.expect("a gate that nobody closes").forget();
        }
    }
}

#[async_trait]
impl Table for UnreliableTable {
    async fn get(&self, table: &TableName, pk: &str, sk: &str) -> Result<Option<Item>, TableError> {
        self.check()?;
        let item = self.inner.get(table, pk, sk).await;
        self.pass(Moment::AfterRead, sk).await;
        item
    }

    async fn put(&self, table: &TableName, item: Item, condition: Condition) -> Result<(), TableError> {
        self.check()?;
        self.pass(Moment::BeforeWrite, &item.sk).await;
        let fault = take(&self.faults, |(_, prefix)| item.sk.starts_with(prefix.as_str()));
        match fault.map(|(fault, _)| fault) {
            None => self.inner.put(table, item, condition).await,
            Some(Fault::Refused) => Err(unavailable()),
            Some(Fault::AnswerLost) => {
                self.inner.put(table, item, condition).await?;
                Err(unavailable())
            }
        }
    }

    async fn put_all(&self, table: &TableName, items: Vec<Item>) -> Result<(), TableError> {
        self.check()?;
        self.inner.put_all(table, items).await
    }

    async fn delete(&self, table: &TableName, pk: &str, sk: &str, condition: Condition) -> Result<(), TableError> {
        self.check()?;
        self.inner.delete(table, pk, sk, condition).await
    }

    async fn query(&self, table: &TableName, pk: &str, after: Option<&str>, limit: u32) -> Result<Page, TableError> {
        self.check()?;
        self.inner.query(table, pk, after, limit).await
    }
}

/// Takes the first rule that fits.
fn take<T>(rules: &Mutex<Vec<T>>, fits: impl Fn(&T) -> bool) -> Option<T> {
    let mut rules = lock(rules);
    let at = rules.iter().position(fits)?;
    Some(rules.remove(at))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable() -> TableError {
    TableError::Unavailable("the test broke it".to_owned())
}
