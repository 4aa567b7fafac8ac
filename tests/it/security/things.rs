//! Things of somebody: one of every kind, in every state that matters.

use halyard_tests::{Actor, TestApp};
use serde_json::{Value, json};

use super::table::{ActsOn, data_of};

/// Stands in everything that the owner has. Nobody else may ever see it.
pub const MARK: &str = "mark-of-the-owner";

/// What somebody has.
#[derive(Debug)]
pub struct Things {
    pub sessions: Vec<String>,
    pub tasks: Vec<String>,
    pub api_keys: Vec<String>,
    pub workflows: Vec<String>,
    /// Tasks of `workflows`.
    pub steps: usize,
    pub schedules: Vec<String>,
    pub deliveries: Vec<String>,
}

impl Things {
    /// Makes them: two more sessions; of every task type one that waits, one that is scheduled and one that ended, and one
    /// that failed.
    pub async fn of(app: &TestApp, owner: &Actor) -> Self {
        let profile = json!({"full_name": MARK, "preferences": {"note": MARK}});
        owner.put("/auth/profile", profile).await.expect(200);
        let types = owner.get("/tasks/types").await.expect(200).json()["data"]["types"].take();
        let types: Vec<String> = texts(&types, "task_type");
        let mut tasks = Vec::new();
        for task_type in &types {
            let Some(data) = data_of(task_type, MARK) else { continue };
            tasks.push(owner.submit(json!({"task_type": task_type, "data": data})).await);
        }
        let failing = json!({"task_type": "sample", "data": {"message": MARK, "fail": "permanent", "steps": 2}});
        tasks.push(owner.submit(failing).await);
        let hook = format!("http://127.0.0.1:20009/{MARK}");
        let telling = json!({"task_type": "sample", "data": {"message": MARK}, "callbacks": {"completion_url": hook}});
        tasks.push(owner.submit(telling).await);
        let step = json!({"task_type": "sample", "data": {"message": MARK}});
        let broken = json!({"task_type": "sample", "data": {"message": MARK, "fail": "permanent"}});
        let mut workflows =
            vec![batch(owner, std::slice::from_ref(&step)).await, batch(owner, &[broken, step.clone()]).await];
        app.drain().await;
        workflows.push(batch(owner, &[step.clone(), step]).await);
        app.execute("update webhook_deliveries set state = 'failed', ended_at = event_at where state = 'owed'").await;
        for task_type in &types {
            let Some(data) = data_of(task_type, MARK) else { continue };
            let resources = json!({ "note": MARK });
            let waiting = json!({"task_type": task_type, "data": data, "resources": resources});
            tasks.push(owner.submit(waiting.clone()).await);
            let mut later = waiting;
            later["scheduled_for"] = json!("2026-02-01T00:00:00Z");
            tasks.push(owner.submit(later).await);
        }
        for _ in 0..2 {
            owner.try_login().await.expect(200);
        }
        let sessions = owner.get("/auth/sessions").await.expect(200).json()["data"]["items"].take();
        let current: Vec<&Value> =
            sessions.as_array().expect("items").iter().filter(|s| s["current"] == false).collect();
        let sessions = texts(&json!(current), "session_id");
        assert!(sessions.len() >= 2 && tasks.len() >= 7, "{sessions:?} {tasks:?}");
        let made = owner.post("/auth/api-keys", json!({ "name": MARK })).await.expect(200).json();
        let api_keys = vec![made["data"]["api_key"]["id"].as_str().expect("a name").to_owned()];
        let deliveries = owner.get("/tasks/webhooks/deliveries").await.expect(200).json()["data"]["items"].take();
        let deliveries = texts(&deliveries, "delivery_id");
        assert_eq!(deliveries.len(), 1, "one webhook");
        let mut schedules = Vec::new();
        for active in [true, false] {
            let body = json!({"task_type": "sample", "data": {"message": MARK}, "resources": {"note": MARK}, "active": active,
                              "schedule": {"type": "cron", "expression": "0 0 1 1 *", "timezone": "Asia/Tokyo"}});
            let made = owner.post("/tasks/schedule", body).await.expect(200).json();
            schedules.push(made["data"]["schedule_id"].as_str().expect("an id").to_owned());
        }
        Self { sessions, tasks, api_keys, workflows, steps: 5, schedules, deliveries }
    }

    /// The ids of what a route acts upon.
    pub fn ids(&self, of: ActsOn) -> &[String] {
        match of {
            ActsOn::Session => &self.sessions,
            ActsOn::ApiKey => &self.api_keys,
            ActsOn::Task => &self.tasks,
            ActsOn::Workflow => &self.workflows,
            ActsOn::Schedule => &self.schedules,
            ActsOn::Delivery => &self.deliveries,
            ActsOn::Nothing | ActsOn::OwnThings | ActsOn::Lane | ActsOn::Account => &[],
        }
    }

    /// Everything about them, as their owner sees it.
    pub async fn as_seen_by(&self, owner: &Actor) -> Value {
        let mut tasks = Vec::new();
        for id in &self.tasks {
            tasks.push(owner.task(id).await);
        }
        let mut workflows = Vec::new();
        for id in &self.workflows {
            workflows.push(owner.get(&format!("/tasks/workflows/{id}")).await.expect(200).json());
        }
        let mut schedules = Vec::new();
        for id in &self.schedules {
            schedules.push(owner.get(&format!("/tasks/schedules/{id}")).await.expect(200).json());
        }
        let mut sessions = owner.get("/auth/sessions").await.expect(200).json();
        let mut keys = owner.get("/auth/api-keys").await.expect(200).json();
        let mut hooks = Vec::new();
        for id in &self.deliveries {
            hooks.push(owner.get(&format!("/tasks/webhooks/deliveries/{id}")).await.expect(200).json()["data"].take());
        }
        json!({ "tasks": tasks, "sessions": sessions["data"]["items"].take(), "api_keys": keys["data"]["items"].take(),
                "workflows": workflows, "schedules": schedules, "webhooks": hooks })
    }
}

/// A sequential batch of these.
async fn batch(owner: &Actor, tasks: &[Value]) -> String {
    let body = json!({"batch_name": MARK, "execution_mode": "sequential", "tasks": tasks});
    let answer = owner.post("/tasks/batch", body).await.expect(200).json();
    answer["data"]["batch_id"].as_str().expect("an id").to_owned()
}

/// The field of each item; sessions name theirs `id` or `session_id`.
fn texts(items: &Value, field: &str) -> Vec<String> {
    let text = |item: &Value| item[field].as_str().or(item["id"].as_str()).expect("a text").to_owned();
    items.as_array().expect("a list").iter().map(text).collect()
}
