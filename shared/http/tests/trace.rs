//! W3C Trace Context.

use halyard_http::TraceContext;
use proptest::prelude::*;

const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_good_header_is_read_and_continued() {
    let parent = TraceContext::parse(GOOD).unwrap();
    assert_eq!(parent.header(), GOOD);
    let child = parent.child([1; 8]);
    assert_eq!(child.header(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0101010101010101-01");
    assert_eq!(child.trace_id_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[test]
fn a_later_version_may_say_more() {
    let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-holds";
    assert_eq!(TraceContext::parse(later).unwrap().header(), GOOD);
}

#[test]
fn bad_headers_begin_a_new_trace() {
    for bad in [
        "",
        "00",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
    ] {
        assert_eq!(TraceContext::parse(bad), None, "{bad}");
    }
}

#[test]
fn ids_are_never_zero() {
    assert!(TraceContext::parse(&TraceContext::root([0; 16], [0; 8]).header()).is_some());
}

proptest! {
    #[test]
    fn what_is_written_is_read(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>()) {
        let made = TraceContext::root(trace, span);
        prop_assert_eq!(TraceContext::parse(&made.header()), Some(made));
    }

    #[test]
    fn no_text_panics(text in ".{0,80}") {
        let _ = TraceContext::parse(&text);
    }
}
