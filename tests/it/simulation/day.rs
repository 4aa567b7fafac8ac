//! A day of schedules: beats that come every minute, or do not come, or come twice, or die in the middle.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::{
    on_ground,
    request::Request,
    stage::Passage,
    world::{Ground, World},
};

/// Noon before the night in which Berlin's clocks leave out the hour from two to three.
fn noon() -> DateTime<Utc> {
    "2026-03-28T12:00:00Z".parse().expect("a time")
}

/// A schedule, and the times in the day at which it must have run.
struct Plan {
    when: Value,
    dst: &'static str,
    times: Vec<DateTime<Utc>>,
}

fn every(minutes: i64, when: Value) -> Plan {
    let times = (1..=1_440 / minutes).map(|n| noon() + Duration::minutes(n * minutes)).collect();
    Plan { when, dst: "skip", times }
}

fn at(when: Value, dst: &'static str, times: &[&str]) -> Plan {
    Plan { when, dst, times: times.iter().map(|at| at.parse().expect("a time")).collect() }
}

fn plans() -> Vec<Plan> {
    let cron = |expression: &str, zone: &str| json!({"type": "cron", "expression": expression, "timezone": zone});
    vec![
        every(10, json!({"type": "interval", "seconds": 600})),
        every(15, cron("*/15 * * * *", "UTC")),
        every(60, cron("30 * * * *", "Asia/Kolkata")),
        at(cron("0 9 * * *", "America/New_York"), "skip", &["2026-03-28T13:00:00Z"]),
        at(cron("0 8 * * *", "Europe/Berlin"), "skip", &["2026-03-29T06:00:00Z"]),
        at(cron("30 2 * * *", "Europe/Berlin"), "skip", &[]),
        at(cron("30 2 * * *", "Europe/Berlin"), "shift", &["2026-03-29T01:30:00Z"]),
        at(json!({"type": "once", "at": "2026-03-28T23:59:30Z"}), "skip", &["2026-03-28T23:59:30Z"]),
    ]
}

impl World {
    async fn plan(&mut self, plan: &Plan) -> Result<(), String> {
        let body = json!({
            "task_type": "sample", "data": {}, "schedule": plan.when, "dst": plan.dst, "overlap": "allow",
            "catch_up": "all",
        });
        self.ask(0, Request::post(1, "/tasks/schedule", body));
        self.finish_all().await
    }

    /// What a minute brings: mostly a beat.
    async fn minute(&mut self) -> Result<(), String> {
        match self.dice.below(100) {
            0..4 => self.tell("the beat is left out"),
            4..8 => self.two_beats().await?,
            8..12 => self.beat_that_dies().await?,
            _ => self.beat(self.idle("BeatFunction").unwrap_or_default()),
        }
        self.finish_all().await
    }

    /// Two at once, one statement at a time, now of one and now of the other.
    async fn two_beats(&mut self) -> Result<(), String> {
        self.stage.set_free(false);
        for _ in 0..2 {
            self.beat(self.idle("BeatFunction").unwrap_or_default());
            self.run(self.actors.len() - 1).await?;
        }
        while let Some(call) = self.any_call() {
            self.let_go(&call, Passage::Through).await?;
        }
        self.stage.set_free(true);
        Ok(())
    }

    /// It gets so far and no further, with a statement that it does not hear of.
    async fn beat_that_dies(&mut self) -> Result<(), String> {
        self.stage.set_free(false);
        self.beat(self.idle("BeatFunction").unwrap_or_default());
        self.run(self.actors.len() - 1).await?;
        for left in (0..=self.dice.below(10)).rev() {
            let Some(call) = self.any_call() else { break };
            self.let_go(&call, if left == 0 { Passage::Vanish } else { Passage::Through }).await?;
        }
        self.stage.set_free(true);
        Ok(())
    }

    fn any_call(&self) -> Option<super::stage::Waiting> {
        let waiting = self.stage.waiting();
        (!waiting.is_empty()).then(|| waiting[self.dice.below(waiting.len())].clone())
    }
}

/// When each schedule has run, in the order in which they were made.
async fn ran(ground: &Ground) -> Vec<Vec<DateTime<Utc>>> {
    let mut conn = PgConnection::connect(&ground.url).await.expect("a connection");
    let rows: Vec<(i16, DateTime<Utc>)> = sqlx::query_as(
        "select s.place, t.scheduled_for from schedules s join schedule_runs r on r.schedule_id = s.id
             join tasks t on t.id = r.task_id and t.scheduled_for = r.nominal_at and r.times = 1
         order by s.place, t.scheduled_for",
    )
    .fetch_all(&mut conn)
    .await
    .expect("the runs");
    let mut by_place = BTreeMap::<i16, Vec<_>>::new();
    for (place, at) in rows {
        by_place.entry(place).or_default().push(at);
    }
    let tasks: i64 = sqlx::query_scalar("select count(*) from tasks").fetch_one(&mut conn).await.expect("a number");
    let runs: usize = by_place.values().map(Vec::len).sum();
    assert_eq!(usize::try_from(tasks).expect("a number"), runs, "every task is the run of one time");
    (1..).take(plans().len()).map(|place| by_place.remove(&place).unwrap_or_default()).collect()
}

#[test]
fn a_day_of_schedules_runs_each_of_its_times_once() {
    on_ground(async |ground| {
        ground.clear().await;
        let mut world = World::new(&ground, 2026).await;
        world.clock.set(noon());
        world.stage.set_free(true);
        for plan in plans() {
            world.plan(&plan).await.expect("a schedule");
        }
        for minute in 0..1_440 {
            world.minute().await.expect("a beat");
            if minute % 60 == 59 {
                world.hear_all().await.expect("workers");
            }
            world.advance(Duration::minutes(1)).await;
        }
        // What the last beats may have left out.
        for _ in 0..2 {
            world.beat(world.idle("BeatFunction").expect("a beat"));
            world.finish_all().await.expect("a beat");
        }
        let end = noon() + Duration::days(1);
        for (plan, ran) in plans().iter().zip(ran(&ground).await) {
            let ran: Vec<_> = ran.into_iter().filter(|at| *at <= end).collect();
            assert_eq!(ran, plan.times, "{}", plan.when);
        }
    });
}
