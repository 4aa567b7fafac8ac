//! Which minutes are where.

use chrono::DateTime;
use halyard_domain::api_calls::{KEPT, closed, live, minute};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_minute_is_folded_once_and_counted_live_until_then(
        start in 1_700_000_000_i64..1_900_000_000, steps in prop::collection::vec(1_i64..600, 1..40)
    ) {
        let (mut seconds, mut folded) = (start, minute(DateTime::from_timestamp(start, 0).unwrap()));
        for step in steps {
            seconds += step;
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            let (open, done) = (live(folded, now), closed(folded, now));
            prop_assert_eq!(*open.start(), folded + 1, "nothing between what is folded and what is live");
            prop_assert_eq!(*open.end(), minute(now));
            prop_assert!(done.is_empty() || *done.end() < minute(now) - 1, "hosts may be half a minute apart");
            if !done.is_empty() {
                prop_assert_eq!(*done.start(), folded + 1);
                folded = *done.end();
            }
        }
    }

    #[test]
    fn no_more_is_looked_at_than_redis_keeps(folded in -10_i64..40_000_000, seconds in 0_i64..1_900_000_000) {
        let now = DateTime::from_timestamp(seconds, 0).unwrap();
        prop_assert!(live(folded, now).count() <= usize::try_from(KEPT).unwrap());
        prop_assert!(closed(folded, now).all(|minute| minute > folded));
    }
}
