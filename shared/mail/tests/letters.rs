use chrono::DateTime;
use halyard_auth::token::MailToken;
use halyard_domain::{Entropy, MailId, MailKind, UserId};
use halyard_mail::{Letter, letter};
use halyard_store::mails::Claimed;

fn mail(kind: MailKind, name: &str) -> Claimed {
    let created_at = DateTime::from_timestamp(1_767_268_800, 0).expect("a time");
    Claimed {
        id: MailId(Entropy::seeded(1).ulid(created_at)),
        user_id: UserId(7),
        kind,
        recipient: "maria@example.com".to_owned(),
        name: name.to_owned(),
        created_at,
        attempt: 1,
        wanted: true,
    }
}

fn written(kind: MailKind, name: &str) -> (Letter, String) {
    let token = MailToken::new(&Entropy::seeded(2));
    (letter(&mail(kind, name), &token, "https://api.example.com"), token.to_text())
}

#[test]
fn a_mail_with_a_token_carries_it_behind_the_hash_of_its_link_and_as_a_code() {
    for (kind, path) in
        [(MailKind::VerifyEmail, "/auth/email/verify"), (MailKind::ResetPassword, "/auth/password/reset")]
    {
        let (letter, token) = written(kind, "Maria");
        let link = format!("https://api.example.com{path}#token={token}");
        assert!(letter.text.contains(&format!("\n{link}\n")), "{}", letter.text);
        assert!(letter.html.contains(&format!("href=\"{link}\"")), "{}", letter.html);
        for body in [&letter.text, &letter.html] {
            assert_eq!(body.matches(&token).count(), 2, "{body}");
        }
        assert!(!letter.subject.contains(&token));
    }
}

#[test]
fn a_notice_carries_no_token_and_says_when() {
    for kind in [MailKind::PasswordChanged, MailKind::EmailChanged] {
        let (letter, token) = written(kind, "Maria");
        for body in [&letter.text, &letter.html] {
            let words = body.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(!body.contains(&token) && words.contains("1 January 2026, 12:00 UTC"), "{body}");
        }
    }
}

#[test]
fn a_name_is_text_and_nothing_else() {
    let (letter, _) = written(MailKind::VerifyEmail, "Tom & \"Jerry\" O'Hara");
    assert!(letter.html.contains("Hello Tom &amp; &quot;Jerry&quot; O&#39;Hara,"), "{}", letter.html);
    assert!(letter.text.starts_with("Hello Tom & \"Jerry\" O'Hara,\n"), "{}", letter.text);
}

#[test]
fn a_name_that_is_no_name_is_left_out() {
    let long = "x".repeat(61);
    for name in [
        "<script>alert(1)</script>",
        "<img src=x>",
        "Win at evil.example",
        "https://evil.example",
        "a\r\nBcc: everybody@example.com",
        "mail me@evil.example",
        "\u{2028}",
        "",
        &long,
    ] {
        for kind in MailKind::ALL {
            let (letter, _) = written(kind, name);
            assert!(letter.text.starts_with("Hello,\n"), "{name}: {}", letter.text);
            assert!(letter.html.contains("<p>Hello,</p>"), "{name}: {}", letter.html);
        }
    }
    let (letter, _) = written(MailKind::VerifyEmail, "Dr. May");
    assert!(letter.text.starts_with("Hello Dr. May,\n"));
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    for kind in MailKind::ALL {
        let (letter, _) = written(kind, "Maria");
        for bad in ["<img", "<script", "<link", "url(", "src="] {
            assert!(!letter.html.contains(bad), "{kind}: {bad}");
        }
        assert!(letter.html.contains("color-scheme") && !letter.html.contains("color:"), "readable in the dark");
        assert!(letter.text.lines().all(|line| line.chars().count() <= 120), "{}", letter.text);
        assert!(!letter.subject.contains(['\r', '\n']));
    }
}
