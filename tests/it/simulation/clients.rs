//! What clients come to ask.

use serde_json::{Value, json};

use super::{receiver::HOOKS, request::Request, world::World};

/// The administrator, and somebody else.
pub const USERS: [i64; 2] = [1, 2];
const LANES: [&str; 4] = ["high", "default", "low", "long"];

impl World {
    /// The next request: one under a key that was made before, perhaps while that is still under way, or another one.
    pub fn request(&mut self) -> Request {
        // A key is kept for a day, and is to be there for whoever asks in the last moment of this.
        let since = self.now() - chrono::Duration::hours(1);
        let known: Vec<&Request> =
            self.keyed.iter().filter(|(_, at)| *at > since).map(|(request, _)| request).collect();
        if !known.is_empty() && self.dice.chance(150) {
            return known[self.dice.below(known.len())].clone();
        }
        let mut request = self.another();
        let creates = ["/tasks/submit", "/tasks/batch", "/tasks/chain"].contains(&request.path.as_str());
        if creates && self.dice.chance(300) {
            let key = u32::try_from(self.keyed.len()).unwrap_or_default();
            request.key = Some(key);
            mark(&mut request.body, key);
            self.keyed.push((request.clone(), self.now()));
        }
        request
    }

    /// A task of whose progress and end somebody wants to hear.
    pub fn told(&self) -> Request {
        let callbacks = self.callbacks();
        let end = self.dice.one(&["", "permanent"]);
        let task = json!({"task_type": "sample", "data": {"pieces": 2, "end": end}, "callbacks": callbacks});
        Request::post(self.dice.one(&USERS), "/tasks/submit", task)
    }

    fn another(&self) -> Request {
        let user = self.dice.one(&USERS);
        let weights = [26, 8, 10, 14, 8, 4, 6, 2, 3, 3, 3, 6, 5, 2];
        match self.dice.weighted(&weights) {
            0 => Request::post(user, "/tasks/submit", self.task(true)),
            1 => Request::post(user, "/tasks/batch", self.batch()),
            2 => Request::post(user, "/tasks/chain", self.chain()),
            3 => self.about_a_task(user, "cancel", json!({"force": self.dice.chance(400)})),
            4 => self.about_a_task(user, "retry", json!({})),
            5 => self.about_a_workflow(user, "cancel"),
            6 => self.about_a_workflow(user, "retry"),
            7 => Request::post(1, "/tasks/dead-letters/redrive", json!({"all": true, "rate": 10})),
            8 => Request::post(user, "/tasks/bulk/cancel", json!({"all": true, "limit": 1 + self.dice.below(4)})),
            9 => Request::post(user, "/tasks/bulk/retry", json!({"all": true, "limit": 1 + self.dice.below(4)})),
            10 => {
                let what = self.dice.one(&["pause", "drain", "resume", "resume"]);
                Request::post(1, format!("/tasks/queues/{}/{what}", self.dice.one(&LANES)), json!({}))
            }
            11 => Request::post(user, "/tasks/schedule", self.schedule()),
            12 => self.about_a_schedule(user),
            _ => self.about_a_task(user, "status", Value::Null),
        }
    }

    /// A task; what only tasks of their own can have is left out for steps.
    fn task(&self, alone: bool) -> Value {
        let dice = &self.dice;
        let mut data = json!({"pieces": 1 + dice.below(3)});
        if dice.chance(450) {
            data["end"] = dice.one(&["error", "later", "permanent", "panic"]).into();
            if dice.chance(600) {
                data["bad"] = (1 + dice.below(2)).into();
            }
        }
        if dice.chance(200) {
            // Leases are renewed between its pieces.
            data["pieces"] = (3 + dice.below(4)).into();
            data["pause"] = dice.one(&[1, 2]).into();
        }
        let long = dice.chance(150);
        if long {
            data["model_type"] = "linear_regression".into();
        }
        let mut task = json!({
            "task_type": if long { "machine_learning_training" } else { "sample" },
            "data": data,
            "priority": 1 + dice.below(10),
            "retry_config": {"max_retries": dice.below(4), "retry_delay": dice.one(&[0, 1, 30, 1_200]),
                             "exponential_backoff": dice.chance(500)},
        });
        if dice.chance(150) {
            let later = chrono::Duration::seconds(dice.one(&[5, 70, 1_500, 9_000]));
            task["scheduled_for"] = (self.now() + later).to_rfc3339().into();
        }
        if dice.chance(150) {
            task["expires_in"] = dice.one(&[3, 60, 900]).into();
        }
        if dice.chance(200) {
            task["timeout"] = dice.one(&[2, 20, 200]).into();
        }
        if dice.chance(300) {
            // Of each key, the limit is the same whoever asks.
            let limit = 1 + dice.below(2);
            task["concurrency_key"] = format!("up to {limit}").into();
            task["concurrency_limit"] = limit.into();
        }
        if dice.chance(250) {
            task["callbacks"] = self.callbacks();
        }
        if alone && dice.chance(250) {
            task["unique_key"] = dice.one(&["one", "other"]).into();
            match dice.below(4) {
                0 => task["debounce"] = json!({"wait": dice.one(&[2, 40])}),
                1 => task["throttle"] = json!({"period": dice.one(&[5, 600])}),
                _ => {}
            }
        }
        task
    }

    fn callbacks(&self) -> Value {
        let hook = self.dice.one(&HOOKS);
        json!({"completion_url": hook, "error_url": hook, "progress_url": hook})
    }

    fn steps(&self) -> Vec<Value> {
        (0..2 + self.dice.below(4)).map(|_| self.task(false)).collect()
    }

    fn workflow(&self, name: &str, tasks: &[Value]) -> Value {
        let mut workflow = json!({
            name: name, "tasks": tasks, "failure_strategy": self.dice.one(&["stop_on_error", "continue"]),
        });
        if self.dice.chance(500) {
            let hook = self.dice.one(&HOOKS);
            workflow["callbacks"] = json!({"completion_url": hook, "error_url": hook});
        }
        workflow
    }

    fn batch(&self) -> Value {
        let mut batch = self.workflow("batch_name", &self.steps());
        batch["execution_mode"] = self.dice.one(&["parallel", "sequential"]).into();
        batch
    }

    /// A chain, or a graph whose steps wait for some of those before them.
    fn chain(&self) -> Value {
        let mut steps = self.steps();
        let graph = self.dice.chance(700);
        for (number, step) in steps.iter_mut().enumerate() {
            step["name"] = format!("step {number}").into();
            let before: Vec<String> =
                (0..number).filter(|_| self.dice.chance(500)).map(|n| format!("step {n}")).collect();
            let waits = if graph { !before.is_empty() } else { number > 0 };
            if graph {
                step["depends_on"] = before.into();
            }
            // A long task's input must be rows.
            if waits && step["task_type"] == "sample" && self.dice.chance(500) {
                step["input_from"] = "previous".into();
            }
        }
        self.workflow("chain_name", &steps)
    }

    fn schedule(&self) -> Value {
        let dice = &self.dice;
        let zone = dice.one(&["UTC", "Europe/Berlin", "America/New_York"]);
        let when = match dice.below(3) {
            0 => json!({"type": "interval", "seconds": dice.one(&[60, 90, 300])}),
            1 => {
                json!({"type": "cron", "expression": dice.one(&["*/5 * * * *", "* * * * *", "30 * * * *"]), "timezone": zone})
            }
            _ => json!({"type": "once", "at": self.now() + chrono::Duration::seconds(dice.one(&[30, 600]))}),
        };
        json!({
            "task_type": "sample", "data": {"pieces": 1}, "schedule": when, "max_iterations": 1 + dice.below(4),
            "overlap": dice.one(&["skip", "queue", "allow"]), "catch_up": dice.one(&["none", "one", "all"]),
            "retry_config": {"max_retries": 1, "retry_delay": 1},
        })
    }

    fn about_a_task(&self, user: i64, what: &str, body: Value) -> Request {
        let ids = self.invariants.tasks();
        if ids.is_empty() {
            return Request::post(user, "/tasks/submit", self.task(true));
        }
        // Half of the time it is a late one.
        let from = if self.dice.chance(500) { ids.len() / 2 } else { 0 };
        let path = format!("/tasks/{what}/{}", ids[from + self.dice.below(ids.len() - from)]);
        let method = if what == "status" { "GET" } else { "POST" };
        Request::new(user, method, path, body)
    }

    fn about_a_workflow(&self, user: i64, what: &str) -> Request {
        let ids = self.invariants.workflows();
        if ids.is_empty() {
            return Request::post(user, "/tasks/batch", self.batch());
        }
        Request::post(user, format!("/tasks/workflows/{}/{what}", ids[self.dice.below(ids.len())]), json!({}))
    }

    fn about_a_schedule(&self, user: i64) -> Request {
        let ids = self.invariants.schedules();
        if ids.is_empty() {
            return Request::post(user, "/tasks/schedule", self.schedule());
        }
        let id = ids[self.dice.below(ids.len())];
        match self.dice.below(4) {
            0 => Request::post(user, format!("/tasks/schedules/{id}/run"), json!({})),
            1 => Request::new(user, "DELETE", format!("/tasks/schedules/{id}"), Value::Null),
            n => Request::new(user, "PATCH", format!("/tasks/schedules/{id}"), json!({"active": n == 2})),
        }
    }
}

/// What is made under a key says so. It is a task of its own in any case: whoever is answered with another's may be answered with
/// one of its own when the answer was lost.
fn mark(body: &mut Value, key: u32) {
    for field in ["unique_key", "debounce", "throttle"] {
        body.as_object_mut().map(|body| body.remove(field));
    }
    match body["tasks"].as_array_mut() {
        Some(tasks) => tasks.iter_mut().for_each(|task| task["data"]["key"] = key.into()),
        None => body["data"]["key"] = key.into(),
    }
}
