//! What happens by itself in production, one step at a time: queues are polled, schedules fire, workers die.

use std::{sync::atomic::Ordering, time::Duration};

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use halyard_cloud::queue::{Outgoing, Queue as _, QueueName};
use halyard_gateway::InvokeError;
use halyard_platform::{
    Host,
    function::{Answer, Event, Invocation},
};
use serde_json::Value;

use crate::{app::TestApp, builder::vars_of, logs::Captured};

/// More rounds than any test has work for: a task that comes back for ever ends the test.
const ROUNDS: usize = 10_000;

impl TestApp {
    /// Runs the workers until no doorbell is to be heard; then nothing that could run may be left.
    pub async fn drain(&self) {
        self.drain_eligible().await;
        let sql = "select coalesce(string_agg(format('%s %s %s of %s, attempt %s, due %s, key %s, retry of %s, in %s',
                       t.id, t.state, t.task_type, t.lane, t.attempt, t.available_at, t.concurrency_key, t.retry_of,
                       t.workflow_id), E'\\n'), '')
                   from tasks t join lanes l using (lane) where not l.paused and t.available_at <= $1
                   and t.state in ('queued', 'scheduled', 'retrying')";
        let mut connection = self.connect().await;
        let left: String = sqlx::query_scalar(sql).bind(self.now()).fetch_one(&mut connection).await.expect("a list");
        assert!(left.is_empty(), "tasks could run, and no doorbell rings for them:\n{left}");
    }

    /// Runs the workers until no doorbell is to be heard.
    pub async fn drain_eligible(&self) {
        for _ in 0..ROUNDS {
            let mut heard = 0;
            for queue in self.lane_queues() {
                heard += self.poll_once(&queue).await;
            }
            if heard == 0 {
                return;
            }
        }
        panic!("the doorbells do not end");
    }

    /// Likewise, and moves the clock to the next moment at which something is due, until nothing is.
    pub async fn drain_with_time(&self) {
        for _ in 0..ROUNDS {
            self.drain().await;
            let sql = "select coalesce(min(extract(epoch from available_at) * 1000000), 0)::bigint from tasks
                       where state in ('queued', 'scheduled', 'retrying')";
            let due = chrono::DateTime::from_timestamp_micros(self.count(sql).await).expect("a time");
            if due.timestamp() == 0 {
                return;
            }
            // A message's delay is in whole seconds.
            self.advance((due - self.now()).max(chrono::Duration::zero()) + chrono::Duration::seconds(1));
        }
        panic!("something is always due");
    }

    /// Gives one batch of a lane's queue to a worker; answers how many messages it held.
    pub async fn poll_once(&self, queue: &str) -> usize {
        let name = self.queue_name(queue);
        self.parts.gateway.poll_once(&name.0).await.expect("the queue answers").received
    }

    /// Invokes a function, by its logical id, as its host does.
    pub async fn invoke(&self, function: &str, event: Event) -> Answer {
        self.parts.gateway.invoke(function, event).await.unwrap_or_else(|e| panic!("{function}: {e}"))
    }

    /// Fires the beat and waits for it; gives its report, which is in the error when a step has failed.
    pub async fn beat(&self) -> Value {
        match self.parts.gateway.fire("BeatFunction").await {
            Ok(Answer::Plain(report)) => report,
            Err(InvokeError::Function { message, .. }) if message.contains(": {") => {
                let at = message.find('{').unwrap_or_default();
                let report: Value = serde_json::from_str(&message[at..]).expect("a report");
                assert!(report["failed"].as_array().is_some_and(|steps| !steps.is_empty()), "{report}");
                report
            }
            other => panic!("beat: {other:?}"),
        }
    }

    /// Asks the deploy step about token keys, as an operator does: the keys as they are then, or why it was refused.
    pub async fn keys(&self, command: Value) -> Result<Value, String> {
        let event = Event::Plain(serde_json::json!({"keys": command}));
        match self.parts.gateway.invoke("MigrateFunction", event).await {
            Ok(Answer::Plain(answer)) => Ok(answer["keys"].clone()),
            Err(InvokeError::Function { message, .. }) => Err(message),
            other => panic!("the deploy step: {other:?}"),
        }
    }

    /// Forgets every doorbell.
    pub async fn forget_queues(&self) {
        for queue in self.lane_queues() {
            self.parts.twins.queue.purge(&self.queue_name(&queue)).await.expect("the queue answers");
        }
    }

    /// Makes the queue service fail, or work again.
    pub fn break_queue(&self, broken: bool) {
        self.parts.queue.set_broken(broken);
    }

    /// Sends a message to a lane's queue.
    pub async fn ring(&self, queue: &str, body: &str) {
        let message = Outgoing { body: body.to_owned(), delay: Duration::ZERO, attributes: Vec::new() };
        let sent = self.parts.queue.send(&self.queue_name(queue), &[message]).await.expect("the queue answers");
        assert!(sent.is_empty(), "the queue took it");
    }

    /// How many messages of a queue could be received now.
    pub async fn depth_of(&self, queue: &str) -> u64 {
        self.parts.queue.depth(&self.queue_name(queue)).await.expect("the queue answers").visible
    }

    /// Receives what a lane's queue shows and vanishes: the messages stay hidden for the visibility timeout.
    pub async fn hide_doorbells(&self, queue: &str) {
        let name = self.queue_name(queue);
        let received = self.parts.queue.receive(&name, 10, Duration::ZERO, None).await.expect("the queue answers");
        assert!(!received.is_empty(), "a doorbell");
    }

    /// The attributes of the message that would be received next; it stays where it is.
    pub async fn peek_attributes(&self, queue: &str) -> Vec<(String, String)> {
        let name = self.queue_name(queue);
        let received = self.parts.queue.receive(&name, 1, Duration::ZERO, None).await.expect("the queue answers");
        let message = received.into_iter().next().expect("a message");
        let back = self.parts.queue.change_visibility(&name, &message.receipt_handle, Duration::ZERO).await;
        back.expect("the queue answers");
        message.attributes
    }

    /// Runs the workers and gives the log lines of this process since.
    pub async fn drain_and_capture_logs(&self) -> Vec<String> {
        let captured = Captured::start();
        self.drain().await;
        captured.lines()
    }

    /// A worker's environment of its own takes a batch; once `then` is through, it is dropped with everything in it, as
    /// when its host dies. Its messages stay hidden, its leases stay behind.
    pub async fn poll_and_kill(&self, queue: &str, then: impl AsyncFnOnce()) {
        self.kill("WorkerFunction", queue, then).await;
    }

    /// Likewise a notifier's.
    pub async fn poll_and_kill_notifier(&self, then: impl AsyncFnOnce()) {
        self.kill("NotifierFunction", "callbacks", then).await;
    }

    async fn kill(&self, function: &str, queue: &str, then: impl AsyncFnOnce()) {
        let received = self.parts.queue.receive(&self.queue_name(queue), 10, Duration::ZERO, None).await;
        let mut event = SqsEvent::default();
        event.records = received.expect("the queue answers").into_iter().map(record).collect();
        assert!(!event.records.is_empty(), "a doorbell rings");
        let clock = std::sync::Arc::clone(&self.parts.clock);
        let host = Host::new(
            self.vars_of(function),
            "doomed",
            clock,
            std::sync::Arc::clone(&self.parts.entropy),
            Some(self.parts.twins.clone()),
        );
        let doomed = match function {
            "NotifierFunction" => halyard_fn_notifier::init(&host).await,
            _ => halyard_fn_worker::init(&host).await,
        };
        let doomed = doomed.expect("an environment");
        let deadline = self.now() + chrono::Duration::minutes(15);
        let invocation = Invocation { aws_request_id: "doomed".to_owned(), deadline };
        tokio::select! {
            answer = doomed.invoke(Event::Sqs(event), invocation) => panic!("it was done: {answer:?}"),
            () = then() => {}
        }
    }

    /// May this application end with work left?
    pub fn may_leave_unfinished(&self) -> bool {
        self.parts.unfinished_allowed.load(Ordering::SeqCst)
    }

    fn lane_queues(&self) -> Vec<String> {
        self.parts.stack.mappings.iter().map(|m| self.parts.stack.queues[&m.queue].name.clone()).collect()
    }

    /// A queue's name in this stack: `default` stands for `halyard-default`.
    fn queue_name(&self, queue: &str) -> QueueName {
        let queues = self.parts.stack.queues.values();
        let mut found = queues.filter(|q| q.name == queue || q.name.split_once('-').is_some_and(|(_, n)| n == queue));
        QueueName(found.next().unwrap_or_else(|| panic!("no queue {queue}")).name.clone())
    }

    fn vars_of(&self, function: &str) -> halyard_config::Vars {
        vars_of(&self.parts.stack, function, &self.parts.variables)
    }
}

fn record(message: halyard_cloud::queue::Received) -> SqsMessage {
    let mut record = SqsMessage::default();
    record.message_id = Some(message.message_id);
    record.receipt_handle = Some(message.receipt_handle);
    record.body = Some(message.body);
    record
}
