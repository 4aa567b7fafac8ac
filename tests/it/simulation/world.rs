//! Everything there is in one run, and what can be done to it.

use std::{rc::Rc, sync::Arc, time::Duration};

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use halyard_cloud::{
    CallbackBell,
    mail::MailTwin,
    queue::{Queue as _, QueueName, QueueTwin, Received},
    table::{TableName, TableTwin},
};
use halyard_domain::{Clock, Entropy, ManualClock};
use halyard_gateway::template::Stack;
use halyard_platform::{
    Host, Twins,
    function::{Answer, Event},
};
use halyard_tests::{builder, environment::variable, seed};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use super::{
    actor::{Actor, Ended, settle},
    checkpoints::Checkpoints,
    deliveries::Deliveries,
    dice::Dice,
    host::{HostClock, Life, Slot, twins},
    invariants::Invariants,
    mutants::Mutant,
    queue::StagedQueue,
    receiver::Receiver,
    request::Request,
    stage::{Passage, Stage, Waiting},
    wire::Wire,
    work::Work,
};

/// The lanes' queues.
pub const LANES: [&str; 4] = ["halyard-high", "halyard-default", "halyard-low", "halyard-long"];

/// The notifier's.
pub const CALLBACKS: &str = "halyard-callbacks";

/// Redis is down, whatever is asked of it: what it holds is no part of what is looked at here.
const NO_REDIS: &str = "redis+unix:///nowhere/redis.sock";

/// What runs of one process share.
#[derive(Clone)]
pub struct Ground {
    pub url: String,
    pub stack: Stack,
    /// Is the trace printed as it grows? For a run that hangs.
    pub aloud: bool,
    /// What is wrong with the platform on purpose.
    pub mutant: Option<Mutant>,
}

impl Ground {
    /// On a database that is there.
    pub fn new(url: String) -> Self {
        let stack = builder::stack(&seed::variables(&url, NO_REDIS, "simulation"));
        Self { url, stack, aloud: variable("SIMULATION_ALOUD").is_some(), mutant: None }
    }
}

/// The world.
pub struct World {
    pub dice: Dice,
    pub clock: Arc<ManualClock>,
    pub stage: Arc<Stage>,
    pub queues: QueueTwin,
    pub slots: Vec<Slot>,
    pub actors: Vec<Actor>,
    pub invariants: Invariants,
    pub checkpoints: Checkpoints,
    pub deliveries: Deliveries,
    pub receiver: Receiver,
    pub work: Work,
    /// How often clients ask, against the weights of what else may happen.
    pub asks: usize,
    pub trace: Vec<String>,
    /// Requests under a key, and when each was first made.
    pub keyed: Vec<(Request, DateTime<Utc>)>,
    /// A place whose environment gets no time, and for how many steps.
    pub stalled: Option<(usize, usize)>,
    ground: Rc<Ground>,
    entropy: Arc<Entropy>,
    tables: TableTwin,
    twins: Twins,
    lives: u32,
}

/// The time limits of the functions, as the template has them.
const SLOTS: [(&str, &str, i64); 9] = [
    ("api-1", "TasksFunction", 29),
    ("api-2", "TasksFunction", 29),
    ("worker-1", "WorkerFunction", 900),
    ("worker-2", "WorkerFunction", 900),
    ("worker-3", "WorkerFunction", 900),
    ("beat-1", "BeatFunction", 50),
    ("beat-2", "BeatFunction", 50),
    ("notifier-1", "NotifierFunction", 120),
    ("notifier-2", "NotifierFunction", 120),
];

impl World {
    /// Noon, with nothing in it.
    pub async fn new(ground: &Rc<Ground>, number: u64) -> Self {
        let clock = Arc::new(ManualClock::new(seed::start()));
        let shared: Arc<dyn Clock> = clock.clone();
        let queues = builder::queue_twin(&ground.stack, &shared);
        let tables = ground.stack.tables.values().map(|table| TableName(table.name.clone()));
        let tables = TableTwin::in_memory(tables).expect("tables in memory");
        let entropy = Arc::new(Entropy::seeded(number));
        let twins = Twins {
            queue: Arc::new(queues.clone()),
            table: Arc::new(tables.clone()),
            objects: Arc::new(builder::object_twin(&ground.stack, &shared, &entropy)),
            mail: Arc::new(MailTwin::in_memory(shared, Vec::new()).expect("mailboxes in memory")),
        };
        let work = Work::default();
        let slots = SLOTS.iter().map(|(name, function, limit)| Slot::new(name, function, *limit)).collect();
        Self {
            dice: Dice::new(number),
            receiver: Receiver::new(number, &clock),
            clock,
            stage: Arc::default(),
            queues,
            slots,
            actors: Vec::new(),
            invariants: Invariants::new(&ground.url).await,
            checkpoints: Checkpoints::new(&ground.url, work.clone()).await,
            deliveries: Deliveries::new(&ground.url).await,
            work,
            asks: 40,
            trace: Vec::new(),
            keyed: Vec::new(),
            stalled: None,
            ground: Rc::clone(ground),
            entropy,
            tables,
            twins,
            lives: 0,
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub fn tell(&mut self, what: impl std::fmt::Display) {
        let line = format!("{} {what}", self.now().format("%d %H:%M:%S%.3f"));
        if self.ground.aloud {
            eprintln!("{line}");
        }
        self.trace.push(line);
    }

    /// The environment at a place, begun if there is none.
    fn life(&mut self, slot: usize) -> Rc<Life> {
        if let Some(life) = &self.slots[slot].life {
            return Rc::clone(life);
        }
        let id = self.lives;
        self.lives += 1;
        let slot = &mut self.slots[slot];
        slot.lives += 1;
        let wire = Wire::before(&self.ground.url, self.ground.mutant, &self.stage, id);
        let queue = StagedQueue { twin: self.queues.clone(), stage: Arc::clone(&self.stage), host: id };
        let queue = Arc::new(queue);
        let clock = HostClock { world: Arc::clone(&self.clock), skew: Arc::clone(&slot.skew) };
        let mut variables = seed::variables(&wire.url(), NO_REDIS, "simulation");
        variables.extend([("NODE_ID".to_owned(), slot.name.to_owned()), ("RATE_LIMITS".to_owned(), "off".to_owned())]);
        let vars = builder::vars_of(&self.ground.stack, slot.function, &variables);
        let twins = twins(&queue, &self.tables, &self.twins);
        let host = Host::new(vars, slot.name, Arc::new(clock), Arc::clone(&self.entropy), Some(twins));
        let life = Rc::new(Life::new(id, slot, queue, self.receiver.clone(), self.work.clone(), host, wire));
        slot.life = Some(Rc::clone(&life));
        life
    }

    /// A place of this function where nothing is under way.
    pub fn idle(&self, function: &str) -> Option<usize> {
        let busy = |place: usize| self.actors.iter().any(|actor| actor.slot == place);
        (0..self.slots.len()).find(|place| self.slots[*place].function == function && !busy(*place))
    }

    /// A client asks.
    pub fn ask(&mut self, slot: usize, request: Request) {
        let (life, now) = (self.life(slot), self.now());
        let asked = request.to_string();
        let future = async move {
            let event = Event::Http(Box::new(request.event(now)));
            let answer = life.function().await.invoke(event, life.invocation()).await;
            let Ok(Answer::Http(response)) = answer else { panic!("{answer:?}") };
            let (status, body) = (response.status().as_u16(), response.into_body());
            let body = serde_json::from_slice(body.as_ref()).unwrap_or(Value::Null);
            Ended::Answered { request, status, body }
        };
        self.begin(slot, &asked, future.boxed_local());
    }

    /// Looks at everything that has to hold.
    pub async fn check(&mut self) -> Result<(), String> {
        self.invariants.check().await?;
        self.checkpoints.check().await?;
        self.deliveries.check(&self.receiver.received(), &self.stage.waiting(), self.clock.now()).await
    }

    /// A worker, or a notifier, looks into a queue.
    pub fn hear(&mut self, slot: usize, queue: &str) {
        let life = self.life(slot);
        let (name, most) = (QueueName(queue.to_owned()), if queue.ends_with("long") { 1 } else { 10 });
        let future = async move {
            let received = match life.queue.receive(&name, most, Duration::ZERO, None).await {
                Ok(received) if received.is_empty() => return Ended::Done("silent".to_owned()),
                Ok(received) => received,
                Err(error) => return Ended::Done(error.to_string()),
            };
            let mut event = SqsEvent::default();
            event.records = received.iter().map(record).collect();
            let Ok(Answer::Sqs(answer)) = life.function().await.invoke(Event::Sqs(event), life.invocation()).await
            else {
                return Ended::Done("the invocation failed".to_owned());
            };
            let failed: Vec<&str> = answer.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect();
            let done = received.iter().filter(|message| !failed.contains(&message.message_id.as_str()));
            let handles: Vec<String> = done.map(|message| message.receipt_handle.clone()).collect();
            if !handles.is_empty() {
                let _ = life.queue.delete(&name, &handles).await;
            }
            Ended::Done(format!("{} of {} done", handles.len(), received.len()))
        };
        self.begin(slot, &format!("hears {queue}"), future.boxed_local());
    }

    /// The beat fires.
    pub fn beat(&mut self, slot: usize) {
        let life = self.life(slot);
        let future = async move {
            let answer = life.function().await.invoke(Event::Plain(Value::Null), life.invocation()).await;
            Ended::Done(if answer.is_ok() { "all done".to_owned() } else { "a step failed".to_owned() })
        };
        self.begin(slot, "beats", future.boxed_local());
    }

    fn begin(&mut self, slot: usize, what: &str, future: futures::future::LocalBoxFuture<'static, Ended>) {
        let (host, name) = (self.life(slot).id, self.slots[slot].name);
        self.tell(format!("{name} {what}"));
        self.actors.push(Actor::new(slot, host, name.to_owned(), future));
    }

    /// Lets one of those go on that are under way.
    pub async fn run(&mut self, place: usize) -> Result<(), String> {
        let stage = Arc::clone(&self.stage);
        let Some(ended) = self.actors[place].run(&stage).await else { return Ok(()) };
        let actor = self.actors.remove(place);
        // It may have given up what is under way.
        settle(&stage).await;
        match ended {
            Ended::Done(how) => self.tell(format!("{} ends: {how}", actor.name)),
            Ended::Answered { request, status, body } => {
                let code = body["code"].as_str().or(body["type"].as_str()).unwrap_or_default().to_owned();
                self.tell(format!("{} answers {status} {code} to {request}", actor.name));
                if status == 500 {
                    return Err(format!("{request} was answered 500: {body}"));
                }
                self.invariants.answered(request.key, status, &body)?;
            }
        }
        Ok(())
    }

    /// Lets a call go; its caller goes on until it waits again, or is killed.
    pub async fn let_go(&mut self, call: &Waiting, passage: Passage) -> Result<(), String> {
        let place = self.actors.iter().position(|actor| actor.host == call.host);
        let who = place.map_or("nobody", |place| self.slots[self.actors[place].slot].name);
        self.tell(format!("{who}: {} {passage:?}", call.label));
        self.stage.let_go(call.ticket, passage);
        match place {
            Some(place) if passage == Passage::Vanish => {
                // To its end: of a transaction this was the first statement.
                let stage = Arc::clone(&self.stage);
                self.actors[place].run(&stage).await;
                self.kill(self.actors[place].slot).await;
                Ok(())
            }
            Some(place) => self.run(place).await,
            None => {
                settle(&self.stage).await;
                Ok(())
            }
        }
    }

    /// An environment is no more, with whatever it did.
    pub async fn kill(&mut self, slot: usize) {
        self.tell(format!("{} is killed", self.slots[slot].name));
        self.actors.retain(|actor| actor.slot != slot);
        if let Some(life) = self.slots[slot].life.take() {
            self.stage.forget(life.id);
        }
        settle(&self.stage).await;
    }

    /// Time passes, for everybody.
    pub async fn advance(&mut self, by: chrono::Duration) {
        self.clock.advance(by);
        tokio::time::advance(by.to_std().unwrap_or_default()).await;
        settle(&self.stage).await;
    }

    /// How many messages of a queue could be received now.
    pub async fn visible(&self, queue: &str) -> u64 {
        self.queues.depth(&QueueName(queue.to_owned())).await.map_or(0, |depth| depth.visible)
    }
}

fn record(message: &Received) -> SqsMessage {
    let mut record = SqsMessage::default();
    record.message_id = Some(message.message_id.clone());
    record.receipt_handle = Some(message.receipt_handle.clone());
    record.body = Some(message.body.clone());
    record
}

impl World {
    /// The bell of webhooks, which nobody has rung.
    pub async fn ring(&self) {
        let bell = CallbackBell::new(Arc::new(self.queues.clone()), CALLBACKS);
        bell.ring(&[Duration::ZERO], Duration::from_secs(1)).await.expect("the queue answers");
    }

    /// A queue forgets what was sent to it.
    pub async fn forget(&self, queue: &str) {
        self.queues.purge(&QueueName(queue.to_owned())).await.expect("the queue answers");
    }
}

impl Ground {
    /// Nothing is left of the run before.
    pub async fn clear(&self) {
        let mut conn = PgConnection::connect(&self.url).await.expect("a connection");
        sqlx::raw_sql(CLEAR).execute(&mut conn).await.expect("an empty database");
    }
}

/// Everything but the users and their log. The second of them is active: schedules ask.
const CLEAR: &str = "
    truncate tasks, task_events, outbox, stat_deltas, stat_totals, stat_hourly, stat_durations, workflows, workflow_steps,
             workflow_edges, workflow_signals, schedules, schedule_runs, retry_paces, nodes, webhook_deliveries,
             webhook_attempts, webhook_endpoints, webhook_secrets, seen_checkpoints restart identity;
    update lanes set paused = false, draining = false, paused_at = null, paused_by = null, drained_by = null;
    insert into users (id, username, email, password_hash, created_at, updated_at, password_changed_at)
    overriding system value values (2, 'other', 'other@example.com', '-', now(), now(), now()) on conflict do nothing;
";
