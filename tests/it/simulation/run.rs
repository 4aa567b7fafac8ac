//! One run: steps that the seed chooses, then peace, in which everything has to come to its end.

use std::{fmt::Write as _, rc::Rc};

use chrono::Duration;

use super::{
    stage::{Kind, Passage, Waiting},
    world::{CALLBACKS, Ground, LANES, World},
};

/// What became of a run.
pub struct Outcome {
    pub seed: u64,
    pub trace: Vec<String>,
    /// What did not hold.
    pub broken: Option<String>,
}

impl Outcome {
    /// Fails with everything that is needed to look for the reason.
    pub fn expect_good(&self) {
        let Some(broken) = &self.broken else { return };
        let mut text = self.trace.join("\n");
        let _ = write!(text, "\n\nseed {}: {broken}", self.seed);
        let _ = write!(text, "\nagain: SIMULATION_SEED={} scripts/test -E 'test(/^simulation::replay/)'", self.seed);
        panic!("{text}");
    }
}

/// How often calls fail, of a thousand: some runs are fair, some are stormy.
const WEATHERS: [usize; 4] = [0, 40, 120, 250];
/// Steps of a run at least, and how many more there may be.
const STEPS: (usize, usize) = (60, 90);
/// Rounds of peace until nothing may be left.
const ROUNDS: usize = 120;

/// How the label of the statement begins that commits the ends of attempts.
const FINISH: &str = "with given as ( select g.*, c.now from";

/// Not of the platform's own: a task's code, or an endpoint.
fn of_outsiders(call: &Waiting) -> bool {
    matches!(call.kind, Kind::Code | Kind::Post(_))
}

/// Runs a seed.
pub async fn run(ground: &Rc<Ground>, seed: u64) -> Outcome {
    ground.clear().await;
    let mut world = World::new(ground, seed).await;
    let mut broken = world.storm().await.err();
    if broken.is_none() {
        broken = world.peace().await.err();
    }
    Outcome { seed, trace: std::mem::take(&mut world.trace), broken }
}

/// What may happen next.
#[derive(Clone, Copy)]
enum Step {
    LetGo,
    GoOn,
    Ask,
    Hear,
    Notify,
    Beat,
    Wait,
    Kill,
    Stall,
    Echo,
    Purge,
    Skew,
}

impl World {
    async fn storm(&mut self) -> Result<(), String> {
        let weather = self.dice.one(&WEATHERS);
        let steps = STEPS.0 + self.dice.below(STEPS.1);
        self.tell(format!("{weather} calls of a thousand fail; {steps} steps"));
        if self.dice.chance(400) {
            self.owe().await?;
            self.asks = 4;
        }
        let mut left = steps;
        while left > 0 {
            left -= usize::from(self.step(weather).await?);
            self.check().await?;
        }
        Ok(())
    }

    /// Tasks have ended, and nobody has told of it yet.
    async fn owe(&mut self) -> Result<(), String> {
        self.stage.set_free(true);
        for _ in 0..2 + self.dice.below(5) {
            let request = self.told();
            self.ask(self.idle("TasksFunction").unwrap_or_default(), request);
            self.finish_all().await?;
        }
        self.hear_all().await?;
        self.stage.set_free(false);
        Ok(())
    }

    /// Does it count? Not a call of a table: nobody else is in its way, and there are many of them.
    async fn step(&mut self, weather: usize) -> Result<bool, String> {
        let stalled = self.stalled();
        let hosts: Vec<_> = self.actors.iter().filter(|a| Some(a.slot) == stalled).map(|a| a.host).collect();
        let waiting: Vec<_> = self.stage.waiting().into_iter().filter(|call| !hosts.contains(&call.host)).collect();
        let can_go_on = |place: &usize| self.actors[*place].is_woken() && Some(self.actors[*place].slot) != stalled;
        let woken: Vec<usize> = (0..self.actors.len()).filter(can_go_on).collect();
        let (rung, bells) = (self.rung().await, self.visible(CALLBACKS).await);
        let posts = waiting.iter().any(|call| matches!(call.kind, Kind::Post(_)));
        let free = |function| usize::from(self.idle(function).is_some());
        let options = [
            (Step::LetGo, if waiting.is_empty() { 0 } else { 240 }),
            (Step::GoOn, if woken.is_empty() { 0 } else { 100 }),
            (Step::Ask, self.asks * free("TasksFunction")),
            (Step::Hear, free("WorkerFunction") * if rung.is_empty() { 1 } else { 60 }),
            (Step::Notify, free("NotifierFunction") * if bells == 0 { 1 } else { 40 }),
            (Step::Beat, 4 * free("BeatFunction")),
            (Step::Wait, 30),
            (Step::Kill, if weather == 0 || self.actors.is_empty() { 0 } else { 2 }),
            (Step::Stall, if stalled.is_none() && self.working().is_some() { 6 } else { 0 }),
            (Step::Echo, if posts { 16 * free("NotifierFunction") } else { 0 }),
            (Step::Purge, usize::from(weather > 0)),
            (Step::Skew, if weather == 0 { 0 } else { 2 }),
        ];
        match options[self.dice.weighted(&options.map(|(_, weight)| weight))].0 {
            Step::LetGo => {
                let call = &waiting[self.dice.below(waiting.len())];
                let passage = self.passage(call, weather);
                self.let_go(call, passage).await?;
                return Ok(call.kind != Kind::Table);
            }
            Step::GoOn => self.run(woken[self.dice.below(woken.len())]).await?,
            Step::Ask => {
                let request = self.request();
                self.ask(self.idle("TasksFunction").unwrap_or_default(), request);
                self.run(self.actors.len() - 1).await?;
            }
            Step::Hear => {
                let queue = if rung.is_empty() { self.dice.one(&LANES) } else { self.dice.one(&rung) };
                self.hear(self.idle("WorkerFunction").unwrap_or_default(), queue);
                self.run(self.actors.len() - 1).await?;
            }
            Step::Notify => {
                self.hear(self.idle("NotifierFunction").unwrap_or_default(), CALLBACKS);
                self.run(self.actors.len() - 1).await?;
            }
            Step::Beat => {
                self.beat(self.idle("BeatFunction").unwrap_or_default());
                self.run(self.actors.len() - 1).await?;
            }
            Step::Wait => self.wait().await,
            Step::Kill => self.kill(self.actors[self.dice.below(self.actors.len())].slot).await,
            Step::Stall => self.stall().await?,
            Step::Echo => self.echo().await?,
            Step::Purge => self.purge().await,
            Step::Skew => {
                let slot = self.dice.below(self.slots.len());
                let skew = self.dice.one(&[-40_000, -900, 0, 2_500, 75_000]);
                self.tell(format!("the clock of {} is {skew} ms wrong", self.slots[slot].name));
                self.slots[slot].skew.store(skew, std::sync::atomic::Ordering::SeqCst);
            }
        }
        Ok(true)
    }

    /// The place that gets no time at this step.
    fn stalled(&mut self) -> Option<usize> {
        let (slot, left) = self.stalled?;
        self.stalled = (left > 0).then(|| (slot, left - 1));
        Some(slot)
    }

    /// A worker whose tasks run, or a notifier that posts.
    fn working(&self) -> Option<usize> {
        let of_tasks = |call: &Waiting| of_outsiders(call) || call.label.contains(FINISH);
        let waiting: Vec<_> = self.stage.waiting().into_iter().filter(of_tasks).collect();
        let call = waiting.get(self.dice.below(waiting.len()))?;
        self.actors.iter().find(|actor| actor.host == call.host).map(|actor| actor.slot)
    }

    /// A worker or a notifier gets no time for longer than its leases last; a beat takes its tasks away, and others begin with
    /// them.
    async fn stall(&mut self) -> Result<(), String> {
        let Some(slot) = self.working() else { return Ok(()) };
        self.tell(format!("{} stalls", self.slots[slot].name));
        self.stalled = Some((slot, self.dice.below(40)));
        let posts = self.slots[slot].function == "NotifierFunction";
        self.advance(Duration::seconds(if posts { 61 } else { 16 })).await;
        if let Some(beat) = self.idle("BeatFunction") {
            self.beat(beat);
            self.as_far_as_code().await?;
        }
        for queue in self.rung().await {
            if let Some(worker) = self.idle("WorkerFunction") {
                self.hear(worker, queue);
                self.as_far_as_code().await?;
            }
        }
        if posts && let Some(notifier) = self.idle("NotifierFunction") {
            self.hear(notifier, CALLBACKS);
            self.as_far_as_code().await?;
        }
        Ok(())
    }

    /// The bell that a notifier heard comes once more, to another one.
    async fn echo(&mut self) -> Result<(), String> {
        self.tell("a bell of webhooks comes twice");
        self.ring().await;
        self.hear(self.idle("NotifierFunction").unwrap_or_default(), CALLBACKS);
        self.as_far_as_code().await
    }

    /// What was begun last goes on until it ends, or a task's code is to move, or something is to be posted.
    async fn as_far_as_code(&mut self) -> Result<(), String> {
        let last = self.actors.len() - 1;
        let host = self.actors[last].host;
        self.run(last).await?;
        while let Some(call) = self.stage.waiting().into_iter().find(|c| c.host == host && !of_outsiders(c)) {
            self.let_go(&call, Passage::Through).await?;
            self.check().await?;
        }
        Ok(())
    }

    /// Queues from which something could be received.
    async fn rung(&self) -> Vec<&'static str> {
        let mut rung = Vec::new();
        for queue in LANES {
            if self.visible(queue).await > 0 {
                rung.push(queue);
            }
        }
        rung
    }

    fn passage(&self, call: &Waiting, weather: usize) -> Passage {
        if call.kind == Kind::Code || !self.dice.chance(weather) {
            return Passage::Through;
        }
        let of_messages = [Passage::Twice, Passage::Late(3), Passage::Late(100), Passage::Late(900)];
        let of_all = [Passage::Refused, Passage::AnswerLost, Passage::Vanish];
        let has_caller = self.actors.iter().any(|actor| actor.host == call.host);
        match call.kind {
            Kind::Send if self.dice.chance(500) => self.dice.one(&of_messages),
            _ if has_caller => self.dice.one(&of_all),
            _ => Passage::Refused,
        }
    }

    /// A moment, a lease, some minutes, or hours.
    async fn wait(&mut self) {
        let longest = [1_000, 4_000, 20_000, 180_000, 1_200_000, 10_000_000];
        let longest = longest[self.dice.weighted(&[60, 40, 40, 20, 8, 2])];
        let by = 1 + self.dice.below(longest);
        self.tell(format!("{by} ms pass"));
        self.advance(Duration::milliseconds(i64::try_from(by).unwrap_or_default())).await;
    }

    async fn purge(&mut self) {
        let queue = self.dice.one(&LANES);
        self.tell(format!("{queue} forgets everything"));
        self.forget(queue).await;
    }

    /// Nothing fails any more, clients have gone, the beat fires every minute, workers hear what rings.
    async fn peace(&mut self) -> Result<(), String> {
        self.tell("peace");
        for slot in &self.slots {
            slot.skew.store(0, std::sync::atomic::Ordering::SeqCst);
        }
        self.receiver.set_in_order();
        self.stage.set_free(true);
        for call in self.stage.waiting() {
            self.let_go(&call, Passage::Through).await?;
        }
        self.invariants.open_lanes().await;
        self.finish_all().await?;
        self.work.set_in_peace();
        self.check().await?;
        for _ in 0..ROUNDS {
            if self.invariants.all_ended().await {
                return self.invariants.check_end(&mut self.trace).await;
            }
            if let Some(slot) = self.idle("BeatFunction") {
                self.beat(slot);
                self.finish_all().await?;
            }
            self.hear_all().await?;
            self.notify_all().await?;
            let by = self.invariants.until_due(self.now()).await;
            self.advance(by).await;
            self.check().await?;
        }
        Err(format!("something waits for ever: {}", self.invariants.left().await))
    }

    /// Workers hear what rings until nothing does.
    pub async fn hear_all(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS {
            let rung = self.rung().await;
            let (Some(queue), Some(slot)) = (rung.first(), self.idle("WorkerFunction")) else { return Ok(()) };
            self.hear(slot, queue);
            self.finish_all().await?;
            self.check().await?;
        }
        Err("doorbells do not end".to_owned())
    }

    /// A notifier hears its bells until there are none.
    async fn notify_all(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS {
            if self.visible(CALLBACKS).await == 0 {
                return Ok(());
            }
            self.hear(self.idle("NotifierFunction").unwrap_or_default(), CALLBACKS);
            self.finish_all().await?;
            self.check().await?;
        }
        Err("the bells of webhooks do not end".to_owned())
    }

    /// Everything under way comes to its end; those who wait for time get it.
    pub async fn finish_all(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS {
            for place in (0..self.actors.len()).rev() {
                self.run(place).await?;
            }
            if self.actors.is_empty() {
                return Ok(());
            }
            self.advance(Duration::seconds(1)).await;
        }
        Err("something under way does not end".to_owned())
    }
}
