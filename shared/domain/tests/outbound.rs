use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use halyard_domain::outbound::{
    AddressKind as Kind, Allowed, Callable, LONGEST_URL, Refusal, Target, is_function, is_qualifier, kind_of,
    refusal_of,
};
use proptest::prelude::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("as the test wants it")
}

#[test]
fn every_special_address_is_known() {
    let table = [
        ("1.1.1.1", Kind::Public),
        ("8.8.8.8", Kind::Public),
        ("9.255.255.255", Kind::Public),
        ("11.0.0.0", Kind::Public),
        ("100.63.255.255", Kind::Public),
        ("100.128.0.0", Kind::Public),
        ("126.255.255.255", Kind::Public),
        ("128.0.0.0", Kind::Public),
        ("169.253.255.255", Kind::Public),
        ("172.15.255.255", Kind::Public),
        ("172.32.0.0", Kind::Public),
        ("192.0.1.0", Kind::Public),
        ("192.167.255.255", Kind::Public),
        ("192.169.0.0", Kind::Public),
        ("198.17.255.255", Kind::Public),
        ("198.20.0.0", Kind::Public),
        ("223.255.255.255", Kind::Public),
        ("0.0.0.0", Kind::Reserved),
        ("0.1.2.3", Kind::Reserved),
        ("10.0.0.0", Kind::Private),
        ("10.255.255.255", Kind::Private),
        ("100.64.0.0", Kind::Shared),
        ("100.127.255.255", Kind::Shared),
        ("100.100.100.200", Kind::Metadata),
        ("127.0.0.1", Kind::Loopback),
        ("127.255.255.255", Kind::Loopback),
        ("168.63.129.16", Kind::Metadata),
        ("169.254.0.1", Kind::LinkLocal),
        ("169.254.169.254", Kind::Metadata),
        ("169.254.170.2", Kind::Metadata),
        ("172.16.0.0", Kind::Private),
        ("172.31.255.255", Kind::Private),
        ("192.0.0.1", Kind::Reserved),
        ("192.0.0.192", Kind::Metadata),
        ("192.0.2.1", Kind::Documentation),
        ("192.88.99.1", Kind::Transition),
        ("192.168.0.1", Kind::Private),
        ("192.168.255.255", Kind::Private),
        ("198.18.0.0", Kind::Documentation),
        ("198.19.255.255", Kind::Documentation),
        ("198.51.100.7", Kind::Documentation),
        ("203.0.113.7", Kind::Documentation),
        ("224.0.0.1", Kind::Multicast),
        ("239.255.255.255", Kind::Multicast),
        ("240.0.0.1", Kind::Reserved),
        ("255.255.255.254", Kind::Reserved),
        ("255.255.255.255", Kind::Broadcast),
        ("2606:4700:4700::1111", Kind::Public),
        ("2a00::1", Kind::Public),
        ("2001:200::1", Kind::Public),
        ("3fff:1000::1", Kind::Public),
        ("::", Kind::Reserved),
        ("::1", Kind::Loopback),
        ("::7f00:1", Kind::Transition),
        ("::8.8.8.8", Kind::Transition),
        ("::ffff:127.0.0.1", Kind::Loopback),
        ("::ffff:10.0.0.1", Kind::Private),
        ("::ffff:169.254.169.254", Kind::Metadata),
        ("::ffff:8.8.8.8", Kind::Public),
        ("64:ff9b::7f00:1", Kind::Loopback),
        ("64:ff9b::169.254.169.254", Kind::Metadata),
        ("64:ff9b::10.1.2.3", Kind::Private),
        ("64:ff9b::8.8.8.8", Kind::Public),
        ("64:ff9b:1::8.8.8.8", Kind::Transition),
        ("100::1", Kind::Reserved),
        ("2001::1", Kind::Transition),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Kind::Transition),
        ("2001:2::1", Kind::Documentation),
        ("2001:10::1", Kind::Reserved),
        ("2001:20::1", Kind::Reserved),
        ("2001:1ff::1", Kind::Reserved),
        ("2001:db8::1", Kind::Documentation),
        ("2002:7f00:1::", Kind::Transition),
        ("2002:808:808::1", Kind::Transition),
        ("2a00::5efe:7f00:1", Kind::Transition),
        ("2a00::200:5efe:a00:1", Kind::Transition),
        ("3fff::1", Kind::Documentation),
        ("4000::1", Kind::Reserved),
        ("5f00::1", Kind::Reserved),
        ("fc00::1", Kind::Private),
        ("fd00:ec2::254", Kind::Metadata),
        ("fd00:ec2::23", Kind::Metadata),
        ("fd20:ce::254", Kind::Metadata),
        ("fd00:ec2::1", Kind::Private),
        ("fe80::1", Kind::LinkLocal),
        ("febf::1", Kind::LinkLocal),
        ("fec0::1", Kind::Private),
        ("ff02::1", Kind::Multicast),
    ];
    for (address, kind) in table {
        assert_eq!(kind_of(ip(address)), kind, "{address}");
    }
}

proptest! {
    #[test]
    fn what_carries_an_address_is_judged_as_that_address(bits: u32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let [a, b, c, d] = v4.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
        for carrier in [v4.to_ipv6_mapped(), nat64] {
            prop_assert_eq!(kind_of(carrier.into()), kind_of(v4.into()));
        }
        for carrier in [Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1), Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !high, !low)] {
            prop_assert_ne!(kind_of(carrier.into()), Kind::Public);
        }
    }

    #[test]
    fn only_global_unicast_is_public(bits: u128) {
        let address = Ipv6Addr::from_bits(bits);
        if kind_of(address.into()) == Kind::Public && !address.to_string().starts_with("64:ff9b::") {
            prop_assert!(bits >> 125 == 1 || address.to_ipv4_mapped().is_some());
        }
    }

    #[test]
    fn a_url_is_read_or_refused_but_never_panics(text in "\\PC{0,80}") {
        let _ = Target::parse(&text);
        let _ = Target::parse(&format!("http://{text}"));
    }
}

#[test]
fn urls_that_are_what_they_seem_are_taken() {
    let table = [
        ("http://example.com", "example.com", 80, "example.com", "/"),
        ("https://example.com/hook?a=b#c", "example.com", 443, "example.com", "/hook?a=b"),
        ("HTTPS://Example.COM:8443/x", "example.com", 8443, "example.com:8443", "/x"),
        ("https://b\u{fc}cher.example/", "xn--bcher-kva.example", 443, "xn--bcher-kva.example", "/"),
        ("http://8.8.8.8/", "8.8.8.8", 80, "8.8.8.8", "/"),
        ("http://[2606:4700::1111]:8080/", "[2606:4700::1111]", 8080, "[2606:4700::1111]:8080", "/"),
        ("http://example.com:443/", "example.com", 443, "example.com:443", "/"),
    ];
    for (text, host, port, authority, path) in table {
        let target = Target::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(
            (target.host(), target.port(), target.authority().as_str(), target.path_and_query()),
            (host, port, authority, path),
            "{text}"
        );
        assert_eq!(target.check(&Allowed::default()), Ok(()), "{text}");
    }
}

#[test]
fn urls_in_disguise_are_refused() {
    let long = format!("https://example.com/{}", "a".repeat(LONGEST_URL));
    let table = [
        (long.as_str(), Refusal::Malformed),
        ("http://exa\tmple.com/", Refusal::Malformed),
        (" http://example.com/", Refusal::Malformed),
        ("http://example.com/a b", Refusal::Malformed),
        ("http:\\\\example.com/", Refusal::Malformed),
        ("http://example.com\\@10.0.0.1/", Refusal::Malformed),
        ("", Refusal::Scheme),
        ("example.com", Refusal::Scheme),
        ("http:example.com", Refusal::Scheme),
        ("//example.com", Refusal::Scheme),
        ("ftp://example.com/", Refusal::Scheme),
        ("file:///etc/passwd", Refusal::Scheme),
        ("gopher://example.com/", Refusal::Scheme),
        ("javascript://example.com/%0aalert(1)", Refusal::Scheme),
        ("http://user@example.com/", Refusal::UserInfo),
        ("http://user:password@example.com/", Refusal::UserInfo),
        ("http://@example.com/", Refusal::UserInfo),
        ("http://example.com:80@10.0.0.1/", Refusal::UserInfo),
        ("http://", Refusal::Host),
        ("http:///path", Refusal::Host),
        ("http://./", Refusal::Host),
        ("http://:80/", Refusal::Host),
        ("http://2130706433/", Refusal::Host),
        ("http://0x7f000001/", Refusal::Host),
        ("http://0x7f.0.0.1/", Refusal::Host),
        ("http://0177.0.0.1/", Refusal::Host),
        ("http://127.1/", Refusal::Host),
        ("http://8.8/", Refusal::Host),
        ("http://127.0.0.1./", Refusal::Host),
        ("http://08.8.8.8/", Refusal::Host),
        ("http://%31%32%37.0.0.1/", Refusal::Host),
        ("http://ex%61mple.com/", Refusal::Host),
        ("http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/", Refusal::Host),
        ("http://\u{2488}\u{2488}\u{2488}1/", Refusal::Host),
        ("http://256.1.1.1/", Refusal::Host),
        ("http://[::1%25eth0]/", Refusal::Host),
        ("http://[v1.fe80]/", Refusal::Host),
        ("http://example.com:99999/", Refusal::Host),
        ("http://example.com:0/", Refusal::Port(0)),
        ("http://example.com:22/", Refusal::Port(22)),
        ("http://example.com:25/", Refusal::Port(25)),
        ("https://example.com:6667/", Refusal::Port(6667)),
    ];
    for (text, refusal) in table {
        assert_eq!(Target::parse(text).map(|t| t.to_string()), Err(refusal), "{text:?}");
    }
}

#[test]
fn addresses_in_urls_are_judged_without_asking_anybody() {
    let none = Allowed::default();
    for (text, kind) in [
        ("http://127.0.0.1/", Kind::Loopback),
        ("http://[::1]:8080/", Kind::Loopback),
        ("http://[::ffff:10.0.0.1]/", Kind::Private),
        ("http://[::ffff:a00:1]/", Kind::Private),
        ("http://169.254.169.254/latest/meta-data/", Kind::Metadata),
        ("http://localhost:8000/", Kind::Loopback),
        ("http://LOCALHOST./", Kind::Loopback),
        ("http://a.localhost/", Kind::Loopback),
    ] {
        assert_eq!(
            Target::parse(text).expect("as the test wants it").check(&none),
            Err(Refusal::Address(kind)),
            "{text}"
        );
    }
    assert_eq!(Target::parse("http://localhost.example.com/").expect("as the test wants it").check(&none), Ok(()));
}

#[test]
fn what_is_opened_is_open_and_nothing_else() {
    let allowed: Allowed = "127.0.0.0/8, ::1 10.1.0.0/16\n169.254.0.0/16,Receiver.internal., fd00::/8"
        .parse()
        .expect("as the test wants it");
    let open = [
        ("127.0.0.1", None),
        ("::1", None),
        ("10.1.255.255", None),
        ("::ffff:10.1.0.1", None),
        ("fd00::1", None),
        ("64:ff9b::10.1.0.1", None),
        ("192.168.7.7", Some("receiver.INTERNAL")),
        ("192.168.7.7", Some("receiver.internal.")),
    ];
    for (address, host) in open {
        assert_eq!(refusal_of(ip(address), host, &allowed), None, "{address} {host:?}");
    }
    let closed = [
        ("10.2.0.0", None),
        ("::2", None),
        ("192.168.7.7", Some("other.internal")),
        ("192.168.7.7", None),
        ("169.254.169.254", None),
        ("fd00:ec2::254", None),
        ("169.254.169.254", Some("receiver.internal")),
    ];
    for (address, host) in closed {
        assert!(refusal_of(ip(address), host, &allowed).is_some(), "{address} {host:?}");
    }
    assert_eq!(refusal_of(ip("127.9.9.9"), None, &Allowed::loopback()), None);
    assert!(refusal_of(ip("10.0.0.1"), None, &Allowed::loopback()).is_some());
    assert_eq!("".parse(), Ok(Allowed::default()));
}

#[test]
fn a_list_that_is_none_is_refused() {
    for text in ["10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/x", "a b..c", "http://x", "1234", "name/8"] {
        assert!(text.parse::<Allowed>().is_err(), "{text}");
    }
}

#[test]
fn functions_are_named_as_iam_names_them() {
    let callable = |text: &str| text.parse::<Callable>();
    let list = callable("arn:aws:lambda:eu-central-1:1:function:greet, report-*\n other:*  plain:live");
    let list = list.expect("a list");
    for (function, qualifier, may) in [
        ("greet", None, true),
        ("greet", Some("live"), false),
        ("greets", None, false),
        ("report-", None, true),
        ("report-a", Some("7"), true),
        ("report", None, false),
        ("other", Some("7"), true),
        ("other", None, false),
        ("plain", Some("live"), true),
        ("plain", Some("livelier"), false),
        ("plain", None, false),
    ] {
        assert_eq!(list.has(function, qualifier), may, "{function} {qualifier:?}");
    }
    assert!(callable(" , ").is_ok_and(|list| list.is_empty()));
    for text in
        ["*", "gr*t", "greet:", ":live", "a.b", "arn:aws:sqs:eu-central-1:1:queue", "arn:aws:lambda:x:1:function:*"]
    {
        assert!(callable(text).is_err(), "{text}");
    }
    assert!(is_qualifier("$LATEST") && !is_qualifier("$X") && !is_function("a:b") && !is_function(""));
}
