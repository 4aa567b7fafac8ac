//! What is refused, and what is not.

use halyard_auth::common_passwords::check;
use halyard_domain::user::RuleBroken;

#[test]
fn what_guessers_begin_with_is_refused_in_any_case() {
    for password in
        ["password", "PassWord", "12345678", "qwerty123", "iloveyou", "letmein1", "Halyard2026!", "halyardhalyard"]
    {
        assert_eq!(check(password, &[]), Err(RuleBroken::Common), "{password}");
    }
}

#[test]
fn the_accounts_own_words_are_refused_however_they_are_dressed() {
    let own = ["maria.k", "maria@example.com"];
    for password in ["maria.k1", "MARIA1990", "!!maria!!", "mariamaria", "maria@example.com"] {
        assert_eq!(check(password, &own), Err(RuleBroken::Common), "{password}");
    }
}

#[test]
fn length_and_letters_of_any_script_are_enough() {
    let own = ["maria", "maria@example.com", "", "ab"];
    for password in [
        "correct horse battery",
        "maria likes tea",
        "пароль на каждый день",
        "\u{1f40e}\u{1f50b} and a staple",
        "xK2-vq",
    ] {
        assert_eq!(check(password, &own), Ok(()), "{password}");
    }
}
