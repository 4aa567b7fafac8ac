use chrono::Duration;
use halyard_domain::{
    MailKind,
    mail::{MOST_ATTEMPTS, next_attempt},
};

#[test]
fn every_kind_is_found_by_its_name() {
    for kind in MailKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    assert!("newsletter".parse::<MailKind>().is_err());
}

#[test]
fn a_mail_that_fails_is_tried_again_less_and_less_often_and_then_given_up() {
    let minutes: Vec<_> = (1..MOST_ATTEMPTS).map(|n| next_attempt(n).map(|d| d.num_minutes())).collect();
    let expected = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60].map(Some);
    assert_eq!(minutes, expected);
    for none in [i16::MIN, 0, MOST_ATTEMPTS, i16::MAX] {
        assert_eq!(next_attempt(none), None);
    }
}

#[test]
fn a_token_is_short_and_never_outlives_by_far_what_it_was_asked_for() {
    assert_eq!(MailKind::ResetPassword.token_life(), Some(Duration::minutes(30)));
    assert_eq!(MailKind::VerifyEmail.token_life(), Some(Duration::hours(24)));
    for kind in MailKind::ALL {
        assert!(kind.token_life().is_none_or(|life| life <= kind.worth()), "{kind}");
    }
}
