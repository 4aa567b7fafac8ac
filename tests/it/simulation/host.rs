//! Execution environments: each with its own clock, connections and way to the queues.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, Duration, Utc};
use halyard_cloud::table::TableTwin;
use halyard_domain::{Clock, ManualClock};
use halyard_jobs::Registry;
use halyard_platform::{
    Host, Twins,
    function::{Function, Invocation},
};
use tokio::sync::OnceCell;

use super::{
    code,
    queue::StagedQueue,
    receiver::{Receiver, StagedOutbound},
    stage::{HostId, Stage},
    table::StagedTable,
    wire::Wire,
    work::Work,
};

/// The clock of a host that may be wrong. The database is asked at the world's time.
#[derive(Debug)]
pub struct HostClock {
    pub world: Arc<ManualClock>,
    /// Milliseconds.
    pub skew: Arc<AtomicI64>,
}

impl Clock for HostClock {
    fn now(&self) -> DateTime<Utc> {
        self.world.now() + Duration::milliseconds(self.skew.load(Ordering::SeqCst))
    }

    fn database_override(&self) -> Option<DateTime<Utc>> {
        self.world.database_override()
    }
}

/// A place for environments of one function, one after the other.
pub struct Slot {
    pub name: &'static str,
    /// Its logical id in the template.
    pub function: &'static str,
    /// The function's time limit.
    pub limit: Duration,
    pub skew: Arc<AtomicI64>,
    pub life: Option<Rc<Life>>,
    pub lives: u32,
}

impl Slot {
    pub fn new(name: &'static str, function: &'static str, seconds: i64) -> Self {
        Self { name, function, limit: Duration::seconds(seconds), skew: Arc::default(), life: None, lives: 0 }
    }
}

/// One environment, from its start until it is killed.
pub struct Life {
    pub id: HostId,
    pub queue: Arc<StagedQueue>,
    host: Host,
    limit: Duration,
    kind: &'static str,
    stage: Arc<Stage>,
    receiver: Receiver,
    work: Work,
    function: OnceCell<Function>,
    _wire: Wire,
}

impl Life {
    pub fn new(
        id: HostId,
        slot: &Slot,
        queue: Arc<StagedQueue>,
        receiver: Receiver,
        work: Work,
        host: Host,
        wire: Wire,
    ) -> Self {
        let (limit, kind, stage) = (slot.limit, slot.function, Arc::clone(&queue.stage));
        Self { id, queue, host, limit, kind, stage, receiver, work, function: OnceCell::new(), _wire: wire }
    }

    /// The function, started when it is first needed.
    pub async fn function(&self) -> &Function {
        let start = async || match self.kind {
            "TasksFunction" => halyard_fn_tasks::init(&self.host).await,
            "BeatFunction" => halyard_fn_beat::init(&self.host).await,
            "NotifierFunction" => halyard_fn_notifier::init_with(&self.host, |_| self.outbound()).await,
            _ => halyard_fn_worker::init_with(&self.host, |types| self.types(types)).await,
        };
        self.function.get_or_init(async || start().await.expect("a function")).await
    }

    fn types(&self, registry: Registry) -> Registry {
        code::types(registry, &self.stage, self.id, &self.work)
    }

    fn outbound(&self) -> Arc<StagedOutbound> {
        let (receiver, stage) = (self.receiver.clone(), Arc::clone(&self.stage));
        Arc::new(StagedOutbound { receiver, stage, host: self.id })
    }

    /// What the host says of an invocation that begins now.
    pub fn invocation(&self) -> Invocation {
        let deadline = self.host.clock.now() + self.limit;
        Invocation { aws_request_id: "simulated".to_owned(), deadline }
    }
}

/// What stands in for AWS, seen from an environment.
pub fn twins(queue: &Arc<StagedQueue>, tables: &TableTwin, shared: &Twins) -> Twins {
    let table = StagedTable { twin: tables.clone(), stage: Arc::clone(&queue.stage), host: queue.host };
    Twins { queue: queue.clone(), table: Arc::new(table), ..shared.clone() }
}
