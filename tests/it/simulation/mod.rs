//! The platform under simulation: the real functions against a real PostgreSQL, everything else in the hands of a seed.
//!
//! * **The stepper** ([`run`]) polls what is under way (requests, batches of doorbells, beats: [`actor`]), one at a time, on a
//!   runtime of one thread. Every statement, every call of a queue or a table, every post of a webhook and every step of a
//!   task's code waits on the [`stage`] until the stepper lets it go. So one call is under way at a time, what the database
//!   sees is one sequence, and the seed decides which. Between two steps everything stands still.
//! * **Statements** are held up on the [`wire`]: each environment has a socket of its own before the server's. So nothing in
//!   the platform knows of the simulation, every statement is a step, also those of one function that takes several, and a
//!   fault is what it is in production, a connection that breaks. A hook in `halyard_store::within` would see neither what beat
//!   asks (it has a time limit for each step instead) nor what happens between two statements inside.
//! * **Faults**: a call is refused, or carried out and its answer lost, or carried out and its environment killed; an
//!   environment is killed between two calls, or gets no time for longer than its leases last; messages come twice or late,
//!   queues forget, beats overlap, hosts' clocks are wrong by up to 75 s.
//! * **Time** is the world's [`ManualClock`](halyard_domain::ManualClock), for the functions and for SQL. The runtime's clock is
//!   paused and moved along with it, never by itself: time limits, lease renewals and the ends of invocations come by virtual
//!   time as well.
//! * **Randomness** is [`Entropy`](halyard_domain::Entropy) with the seed: one for the platform, one for the stepper. A seed
//!   runs the same way twice; a test compares the traces.
//! * **After every step** that wrote anything: [`invariants`] and [`rules`]. After the last one: peace. Faults end, the beat
//!   fires, workers hear, time passes, and everything must come to exactly one end.
//! * [`mutants`] are the platform with a fault in one statement, made on the wire: the seeds must find them.
//!
//! * **Clients** repeat requests under an `Idempotency-Key`, also while the first one is under way: under a key something is
//!   made once, and everybody who asks hears of the same.
//!
//! * **Tasks** ([`code`]) work in pieces and save after each. Whoever goes on with one is given what was committed last
//!   ([`checkpoints`]), wherever the attempts before it were killed, fenced off or ended.
//!
//! * **Endpoints** ([`receiver`]) take webhooks, fail, ask for patience or have gone; a post may arrive and its answer be lost.
//!   Each is verified as the README tells receivers to ([`signatures`]).
//!
//! Redis is down throughout. What is not looked at: accounts and sessions, imports, what tasks themselves call.

mod actor;
mod checkpoints;
mod clients;
mod code;
mod day;
mod deliveries;
mod dice;
mod host;
mod invariants;
mod mutants;
mod queue;
mod receiver;
mod request;
mod rules;
mod run;
mod signatures;
mod stage;
mod table;
mod wire;
mod work;
mod world;

use std::rc::Rc;

use halyard_tests::{
    TestDatabase,
    environment::{Servers, variable},
    seed,
};

use checkpoints::Checkpoints;
use run::{Outcome, run};
use world::Ground;

/// Does something on a ground of its own, on a runtime of one thread whose clock stands still.
fn on_ground<T>(work: impl AsyncFnOnce(Rc<Ground>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let servers = Servers::from_env();
        let database = TestDatabase::create(&servers.database_url, seed::start()).await;
        let ground = Rc::new(Ground::new(database.url()));
        Checkpoints::watch(&ground.url).await;
        // A clock that is paused leaps to the next timer when the runtime is idle, unless work goes on in another thread: so
        // timers go off when the world's clock is moved, and only then.
        let (held, holds) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || holds.recv().ok());
        tokio::time::pause();
        let done = work(ground).await;
        tokio::time::resume();
        drop(held);
        database.drop_now().await;
        done
    })
}

fn seeds(seeds: impl IntoIterator<Item = u64>) {
    on_ground(async |ground| {
        for number in seeds {
            run(&ground, number).await.expect_good();
        }
    });
}

/// The seeds of `make test`, a quarter at a time: the tests of one process share a database, and cores are there to be used.
const EACH: u64 = 25;

#[test]
fn the_first_quarter_of_a_hundred_seeds_holds() {
    seeds(0..EACH);
}

#[test]
fn the_second_quarter_of_a_hundred_seeds_holds() {
    seeds(EACH..2 * EACH);
}

#[test]
fn the_third_quarter_of_a_hundred_seeds_holds() {
    seeds(2 * EACH..3 * EACH);
}

#[test]
fn the_fourth_quarter_of_a_hundred_seeds_holds() {
    seeds(3 * EACH..4 * EACH);
}

/// `SIMULATION_SEEDS=5000`, from `SIMULATION_FROM` on: `make simulate`.
#[test]
fn many_seeds_hold() {
    let number = |name| variable(name).map(|text| text.parse::<u64>().expect("a number"));
    let (from, many) = (number("SIMULATION_FROM").unwrap_or(4 * EACH), number("SIMULATION_SEEDS").unwrap_or(0));
    seeds(from..from + many);
}

#[test]
fn a_seed_runs_the_same_way_twice() {
    let number = |name| variable(name).map(|text| text.parse::<u64>().expect("a number"));
    let from = number("SIMULATION_FROM").unwrap_or(10);
    on_ground(async |ground| {
        for seed in from..from + number("SIMULATION_TWICE").unwrap_or(4) {
            let once = run(&ground, seed).await;
            let again = run(&ground, seed).await;
            for (place, (one, other)) in once.trace.iter().zip(&again.trace).enumerate() {
                assert_eq!(one, other, "seed {seed}, after {:#?}", &once.trace[place.saturating_sub(20)..place]);
            }
            assert_eq!(once.trace.len(), again.trace.len());
        }
    });
}

/// `SIMULATION_SEED=17`: runs it and shows its trace.
#[test]
fn replay() {
    let Some(number) = variable("SIMULATION_SEED") else { return };
    let outcome: Outcome = on_ground(async |ground| run(&ground, number.parse().expect("a number")).await);
    eprintln!("{}", outcome.trace.join("\n"));
    outcome.expect_good();
}
