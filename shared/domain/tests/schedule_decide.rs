//! What becomes of the times at which a schedule is due.

#![allow(clippy::unwrap_used, reason = "tests")]

use chrono::{DateTime, Duration, Utc};
use halyard_domain::schedule::{
    AT_ONCE, CAUGHT_UP, CatchUp, Decided, Due, Outcome, Overlap, Run, Skip, Timing, decide,
};
use proptest::{prelude::*, sample::select};

fn noon() -> DateTime<Utc> {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn minutely() -> Timing {
    Timing::Interval { every: Duration::minutes(1), anchor: noon() - Duration::days(30) }
}

fn due(timing: &Timing, late: Duration) -> Due<'_> {
    Due {
        timing,
        next_at: noon() - late,
        iterations: 0,
        max_iterations: None,
        overlap: Overlap::Allow,
        catch_up: CatchUp::None,
        open: 0,
    }
}

/// Seconds from noon, with `f`ire, `m`issed or `o`verlap, and how many times.
fn told(decided: &Decided) -> Vec<(i64, char, i32)> {
    let letter = |run: &Run| match run.outcome {
        Outcome::Fire => 'f',
        Outcome::Skip(Skip::Missed) => 'm',
        Outcome::Skip(Skip::Overlap) => 'o',
    };
    decided.runs.iter().map(|run| ((run.nominal - noon()).num_seconds(), letter(run), run.times)).collect()
}

fn next(decided: &Decided) -> Option<i64> {
    decided.next_at.map(|at| (at - noon()).num_seconds())
}

#[test]
fn what_is_due_before_the_next_beat_is_made_ahead_of_its_time() {
    let timing = minutely();
    let decided = decide(&due(&timing, Duration::zero()), noon());
    assert_eq!((told(&decided), next(&decided)), (vec![(0, 'f', 1), (60, 'f', 1)], Some(120)));
    // The next beat, a minute later, has one more to make; nothing is between.
    let later = decide(
        &Due { next_at: decided.next_at.unwrap(), ..due(&timing, Duration::zero()) },
        noon() + Duration::minutes(1),
    );
    assert_eq!((told(&later), next(&later)), (vec![(120, 'f', 1)], Some(180)));
    let early = decide(&due(&timing, Duration::seconds(-90)), noon());
    assert_eq!((told(&early), next(&early)), (vec![], Some(90)), "nothing is due yet");
}

#[test]
fn a_beat_that_was_late_or_lost_is_no_missed_time() {
    let timing = minutely();
    let decided = decide(&due(&timing, Duration::seconds(120)), noon());
    assert_eq!(told(&decided), [(-120, 'f', 1), (-60, 'f', 1), (0, 'f', 1), (60, 'f', 1)]);
}

#[test]
fn missed_times_are_left_out_made_up_by_one_or_all_made_up_for() {
    let timing = minutely();
    let missed = due(&timing, Duration::minutes(5));
    let on_time = [(-120, 'f', 1), (-60, 'f', 1), (0, 'f', 1), (60, 'f', 1)];
    for (catch_up, first) in [
        (CatchUp::None, vec![(-180, 'm', 3)]),
        (CatchUp::One, vec![(-240, 'm', 2), (-180, 'f', 1)]),
        (CatchUp::All, vec![(-300, 'f', 1), (-240, 'f', 1), (-180, 'f', 1)]),
    ] {
        let decided = decide(&Due { catch_up, ..missed }, noon());
        let expected: Vec<_> = first.into_iter().chain(on_time).collect();
        assert_eq!((told(&decided), next(&decided)), (expected, Some(120)), "{catch_up}");
    }
}

#[test]
fn catching_up_is_bounded() {
    let timing = minutely();
    // A whole day, some 1,440 times.
    let day = Due { catch_up: CatchUp::All, ..due(&timing, Duration::days(1)) };
    let mut now = decide(&day, noon());
    let (at, what, times) = told(&now)[0];
    assert_eq!((what, times), ('m', 1_438 - i32::try_from(CAUGHT_UP).unwrap()), "the oldest are left out, at {at}");
    let mut fired = 0;
    for _ in 0..20 {
        assert!(now.runs.len() <= AT_ONCE);
        fired += now.runs.iter().filter(|run| run.outcome == Outcome::Fire).count();
        now = decide(&Due { next_at: now.next_at.unwrap(), ..day }, noon());
    }
    assert_eq!(fired, CAUGHT_UP + 4, "those, and the ones on time");
    // Two weeks are more than are counted: the latest is found all the same.
    let weeks = decide(&Due { catch_up: CatchUp::One, ..due(&timing, Duration::days(14)) }, noon());
    assert_eq!(told(&weeks)[1..3], [(-180, 'f', 1), (-120, 'f', 1)]);
}

#[test]
fn what_overlaps_is_left_out_waits_or_runs_beside() {
    let timing = minutely();
    for (overlap, open, expected, following) in [
        (Overlap::Allow, 7, vec![(0, 'f', 1), (60, 'f', 1)], 120),
        // Ahead of its time it is not decided about: the earlier run may end.
        (Overlap::Skip, 0, vec![(0, 'f', 1)], 60),
        (Overlap::Skip, 1, vec![(0, 'o', 1)], 60),
        (Overlap::Queue, 0, vec![(0, 'f', 1), (60, 'f', 1)], 120),
        (Overlap::Queue, 1, vec![(0, 'f', 1)], 60),
        (Overlap::Queue, 2, vec![(0, 'o', 1)], 60),
    ] {
        let decided = decide(&Due { overlap, open, ..due(&timing, Duration::zero()) }, noon());
        assert_eq!((told(&decided), next(&decided)), (expected, Some(following)), "{overlap} with {open}");
    }
}

#[test]
fn it_is_completed_when_its_iterations_or_its_times_are_used_up() {
    let timing = minutely();
    let last = Due { iterations: 2, max_iterations: Some(3), ..due(&timing, Duration::zero()) };
    let decided = decide(&last, noon());
    assert_eq!((told(&decided), next(&decided), decided.iterations), (vec![(0, 'f', 1)], None, 3));
    let none = decide(&Due { iterations: 3, ..last }, noon());
    assert_eq!((told(&none), next(&none)), (vec![], None));
    let once = Timing::Once { at: noon() };
    let decided = decide(&due(&once, Duration::zero()), noon());
    assert_eq!((told(&decided), next(&decided)), (vec![(0, 'f', 1)], None));
    for (catch_up, what) in [(CatchUp::None, 'm'), (CatchUp::One, 'f'), (CatchUp::All, 'f')] {
        let late = decide(&Due { catch_up, ..due(&once, Duration::zero()) }, noon() + Duration::days(3));
        assert_eq!((told(&late), next(&late)), (vec![(0, what, 1)], None), "three days late, {catch_up}");
    }
}

proptest! {
    /// However often and however late beat looks: each time is decided about once, in order, and at most `max_iterations` fire.
    #[test]
    fn each_time_is_decided_about_once(
        every in 60_i64..400,
        beats in prop::collection::vec(1_i64..500, 1..40),
        overlap in select(vec![Overlap::Skip, Overlap::Queue, Overlap::Allow]),
        catch_up in select(vec![CatchUp::None, CatchUp::One, CatchUp::All]),
        open in prop::collection::vec(0_usize..3, 40),
        most in prop::option::of(0_i32..20),
    ) {
        let timing = Timing::Interval { every: Duration::seconds(every), anchor: noon() };
        let first = noon() + Duration::seconds(every);
        let (mut now, mut next_at, mut iterations) = (noon(), Some(first), 0);
        let mut decided_until = noon();
        for (wait, open) in beats.iter().zip(open) {
            let Some(at) = next_at else { break };
            let due = Due { timing: &timing, next_at: at, iterations, max_iterations: most, overlap, catch_up, open };
            let decided = decide(&due, now);
            for run in &decided.runs {
                let passed = (run.nominal - decided_until).num_seconds();
                prop_assert_eq!(passed, every * i64::from(run.times), "none left out, none twice");
                prop_assert!(run.outcome == Outcome::Fire || run.nominal <= now, "nothing is given up before its time");
                decided_until = run.nominal;
            }
            if let Some(following) = decided.next_at {
                prop_assert_eq!(Some(following), timing.next_after(decided_until));
            }
            prop_assert!(most.is_none_or(|most| decided.iterations <= most));
            (next_at, iterations) = (decided.next_at, decided.iterations);
            now += Duration::seconds(*wait);
        }
    }
}
