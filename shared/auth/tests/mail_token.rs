use halyard_auth::token::MailToken;
use halyard_domain::Entropy;

#[test]
fn a_token_comes_back_from_its_text_and_shows_nothing_of_itself() {
    let entropy = Entropy::seeded(1);
    let (one, two) = (MailToken::new(&entropy), MailToken::new(&entropy));
    assert_ne!(one, two);
    let text = one.to_text();
    assert_eq!(text.len(), 46);
    assert_eq!(MailToken::parse(&text), Some(one.clone()));
    assert_eq!(MailToken::parse(&format!(" {text}\r\n")), Some(one.clone()), "as it is copied from a mail");
    assert_ne!(one.hash(), two.hash());
    assert!(!format!("{one:?}").contains(&text[3..]));
}

#[test]
fn what_is_no_token_is_refused() {
    let good = MailToken::new(&Entropy::seeded(1)).to_text();
    let other_kind = good.replacen("hm_", "hr_", 1);
    let long = format!("{good}AAAA");
    for bad in ["", "hm_", "hm_AAAA", &other_kind, &long, &good[..45], &format!("{good}="), "\u{0}", "hm_ä"] {
        assert_eq!(MailToken::parse(bad), None, "{bad}");
    }
}
