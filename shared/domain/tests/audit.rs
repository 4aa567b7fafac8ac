//! The chain of the audit log finds whatever was done to it.

use chrono::DateTime;
use halyard_domain::audit::{Entry, Fault, Link, verify};
use proptest::prelude::*;

fn entry(id: i64) -> Entry {
    Entry {
        id,
        at: DateTime::from_timestamp(1_767_268_800 + id, 123_456_000).expect("a time"),
        actor_id: (id % 2 == 0).then_some(id),
        action: "user.update".to_owned(),
        target: format!("user:{id}"),
        detail: r#"{"n": 1}"#.to_owned(),
        request_id: (id % 3 == 0).then(|| format!("req_{id}")),
        hash: Vec::new(),
    }
}

fn chain(n: i64) -> Vec<Entry> {
    let mut before = Link::start();
    (1..=n)
        .map(|id| {
            let mut entry = entry(id);
            entry.hash = entry.hash_after(&before.hash).to_vec();
            before = Link { id, hash: entry.hash.clone() };
            entry
        })
        .collect()
}

fn link(entry: &Entry) -> Link {
    Link { id: entry.id, hash: entry.hash.clone() }
}

fn faults(entries: &[Entry], head: &Link) -> Vec<(i64, Fault)> {
    verify(&Link::start(), entries, Some(head)).faults
}

#[test]
fn the_hash_is_the_one_that_the_database_computes() {
    // What audit_hash of migrations/0007_audit_chain.sql answers for these fields.
    let hash = entry(1).hash_after(&[0; 32]);
    assert_eq!(halyard_domain::audit::hex(&hash), "75358eef9706e24312cbea99115bcf84d3d356e15c5a3de2fd091374ee8393f4");
    let mut odd = entry(6);
    odd.target = "gr\u{fc}n:~".to_owned();
    odd.detail = "{\"a\": [1.50, null], \"bb\": \"\u{2028}\"}".to_owned();
    assert_eq!(
        halyard_domain::audit::hex(&odd.hash_after(&[7; 32])),
        "30d3367c18fb8f6a97f3de1cd78759380beae70bb1e520629919ebcb0421fd1c"
    );
}

#[test]
fn a_chain_that_nobody_touched_is_intact_in_one_page_and_in_several() {
    let entries = chain(10);
    let head = link(&entries[9]);
    assert_eq!(faults(&entries, &head), []);
    assert_eq!(verify(&Link::start(), &[], Some(&Link::start())).faults, []);
    let first = verify(&Link::start(), &entries[..4], None);
    assert_eq!((first.checked, &first.end), (4, &link(&entries[3])));
    // The next page begins with the entry that the last one ended with.
    let second = verify(&first.end, &entries[3..], Some(&head));
    assert_eq!((second.checked, second.faults, second.end), (6, vec![], head));
}

/// What is done, how, and what is found.
type Tampering = (&'static str, fn(&mut Vec<Entry>), &'static [(i64, Fault)]);

#[test]
fn whatever_was_done_is_found_where_it_was_done() {
    let entries = chain(6);
    let head = link(&entries[5]);
    let cases: &[Tampering] = &[
        ("a field changed", |e| e[2].target = "user:9".to_owned(), &[(3, Fault::Altered)]),
        ("an actor taken away", |e| e[3].actor_id = None, &[(4, Fault::Altered)]),
        ("a time moved by a microsecond", |e| e[0].at += chrono::Duration::microseconds(1), &[(1, Fault::Altered)]),
        ("details changed", |e| e[5].detail.push(' '), &[(6, Fault::Altered)]),
        (
            "changed, with the hash that belongs to it",
            |e| {
                e[2].target = "user:9".to_owned();
                e[2].hash = e[2].hash_after(&e[1].hash.clone()).to_vec();
            },
            &[(4, Fault::Altered)],
        ),
        ("removed from the middle", |e| drop(e.remove(2)), &[(4, Fault::Missing)]),
        ("removed from the beginning", |e| drop(e.remove(0)), &[(2, Fault::Missing)]),
        ("cut off at the end", |e| e.truncate(4), &[(4, Fault::Ending)]),
        ("all removed", Vec::clear, &[(0, Fault::Ending)]),
        (
            "two in each other's place",
            |e| {
                e.swap(1, 2);
                (e[1].id, e[2].id) = (2, 3);
            },
            &[(2, Fault::Altered), (3, Fault::Altered), (4, Fault::Altered)],
        ),
        (
            "one added past the chain",
            |e| {
                let mut more = entry(7);
                more.hash = vec![1; 32];
                e.push(more);
            },
            &[(7, Fault::Altered), (7, Fault::Ending)],
        ),
    ];
    for (what, tamper, expected) in cases {
        let mut tampered = entries.clone();
        tamper(&mut tampered);
        assert_eq!(faults(&tampered, &head), *expected, "{what}");
    }
}

#[test]
fn who_rewrites_the_whole_chain_is_found_by_whoever_kept_a_place_in_it() {
    let entries = chain(6);
    let kept = link(&entries[3]);
    let mut before = Link::start();
    let mut forged = entries.clone();
    forged[1].target = "user:9".to_owned();
    for entry in &mut forged {
        entry.hash = entry.hash_after(&before.hash).to_vec();
        before = link(entry);
    }
    assert_eq!(faults(&forged, &before), [], "the chain alone does not tell");
    assert_eq!(verify(&kept, &forged[3..], Some(&before)).faults, [(4, Fault::Rewritten)]);
    assert_eq!(verify(&kept, &[], Some(&kept)).faults, [(4, Fault::Rewritten)], "it is gone");
}

#[test]
fn fields_do_not_run_into_each_other() {
    let base = entry(1);
    let moved = Entry { action: "user.updat".to_owned(), target: "euser:1".to_owned(), ..base.clone() };
    assert_ne!(base.hash_after(&[0; 32]), moved.hash_after(&[0; 32]));
    let (none, tilde) = (Entry { request_id: None, ..base.clone() }, Entry { request_id: Some("~".into()), ..base });
    assert_ne!(none.hash_after(&[0; 32]), tilde.hash_after(&[0; 32]));
}

proptest! {
    #[test]
    fn no_change_of_one_byte_goes_unnoticed(at in 0_usize..8, text in "[a-z]{1,8}") {
        let entries = chain(8);
        let mut tampered = entries.clone();
        tampered[at].target.push_str(&text);
        prop_assert!(!faults(&tampered, &link(&entries[7])).is_empty());
    }

    #[test]
    fn places_read_back(id in 0_i64.., hash: [u8; 32]) {
        let link = Link { id, hash: hash.to_vec() };
        prop_assert_eq!(link.to_string().parse(), Ok(link));
    }

    #[test]
    fn nonsense_names_no_place(text in "\\PC{0,80}") {
        if let Ok(link) = text.parse::<Link>() {
            prop_assert_eq!(link.to_string(), text);
        }
    }
}
