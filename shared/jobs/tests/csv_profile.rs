//! The profile of a CSV against values worked out by hand, and against a naive reference.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/naive.rs"]
mod naive;

use halyard_jobs::types::data_processing::{ColumnProfile, ColumnType, Input, Profile, Profiler};
use proptest::prelude::*;
use serde_json::{Value, json};

fn profile_in_pieces(csv: &str, piece: u64) -> Profile {
    let input: Input = serde_json::from_value(json!({ "csv": csv })).unwrap();
    let mut profiler = Profiler::new(input).unwrap();
    while profiler.read(piece).unwrap() {}
    profiler.finish()
}

fn profile(csv: &str) -> Profile {
    profile_in_pieces(csv, 1 << 20)
}

fn column<'a>(profile: &'a Profile, name: &str) -> &'a ColumnProfile {
    profile.columns.iter().find(|column| column.name == name).unwrap()
}

fn types(csv: &str) -> Vec<ColumnType> {
    profile(csv).columns.iter().map(|column| column.column_type).collect()
}

#[test]
fn numbers_are_described_as_worked_out_by_hand() {
    let profile = profile("n\n1\n2\n3\n4\n100\n");
    let n = column(&profile, "n");
    assert_eq!((profile.rows, n.count, n.nulls, n.distinct, n.distinct_exact), (5, 5, 0, 5, true));
    assert_eq!((&n.min, &n.max), (&json!(1), &json!(100)));
    assert_eq!(n.mean, Some(22.0));
    // Squared deviations: 441 + 400 + 361 + 324 + 6084 = 7610; / 4 = 1902.5.
    assert!((n.stddev.unwrap() - 1902.5_f64.sqrt()).abs() < 1e-12);
    let q = n.quantiles.as_ref().unwrap();
    assert_eq!((q.p25, q.p50, q.p75, q.exact), (2.0, 3.0, 4.0, true));
    // Position 0.95 x 4 = 3.8: between 4 and 100.
    assert!((q.p95 - 80.8).abs() < 1e-9);
}

#[test]
fn each_type_is_told_apart() {
    use ColumnType::{Boolean, Date, DateTime, Empty, Float, Integer, Text, Time};
    let csv = "i,f,b,d,dt,t,s,e\n\
               1,1.5,true,2013-01-01,2013-01-01T05:00:00Z,12:30,x,NA\n\
               -2,2,FALSE,2013-02-28,2013-01-01 05:15,5:07:01,y,\n";
    assert_eq!(types(csv), [Integer, Float, Boolean, Date, DateTime, Time, Text, Empty]);
}

#[test]
fn what_only_looks_like_a_number_or_a_date_is_text() {
    for value in ["007", "1.2.3", "--1", "inf", "1e", "2013-02-30", "25:00", "12-30", "+", "."] {
        assert_eq!(types(&format!("c\n{value}\n")), [ColumnType::Text], "{value}");
    }
    assert_eq!(types("c\n1\nx\n"), [ColumnType::Text], "a mixture");
    assert_eq!(types("c\n1\n12:30\n"), [ColumnType::Text], "a mixture");
    assert_eq!(types("c\n2013-01-01\n2013-01-01T10:00:00\n"), [ColumnType::DateTime]);
}

#[test]
fn nulls_are_counted_apart() {
    let profile = profile("a,b\nNA,1\n,2\nnull,3\nN/A,\nNaN,5\nNone,6\n0,7\n");
    let a = column(&profile, "a");
    assert_eq!((a.count, a.nulls, a.column_type), (1, 6, ColumnType::Integer));
    assert_eq!(column(&profile, "b").nulls, 1);
}

#[test]
fn ranges_follow_the_type() {
    let csv = "d,t,b,s\n2013-01-02,9:00,true,pear\n2012-12-31,10:30,true,apple\n";
    let profile = profile(csv);
    let range = |name: &str| (column(&profile, name).min.clone(), column(&profile, name).max.clone());
    assert_eq!(range("d"), (json!("2012-12-31"), json!("2013-01-02")));
    assert_eq!(range("t"), (json!("09:00:00"), json!("10:30:00")), "not as text, where 9:00 is the greater");
    assert_eq!(range("b"), (json!(true), json!(true)));
    assert_eq!(range("s"), (json!("apple"), json!("pear")));
}

#[test]
fn the_most_frequent_values_come_first_and_equals_by_their_text() {
    let profile = profile("c\nb\na\nb\nc\na\nb\nd\n");
    let top: Vec<_> = column(&profile, "c").top_values.iter().map(|top| (top.value.as_str(), top.count)).collect();
    assert_eq!(top, [("b", 3), ("a", 2), ("c", 1), ("d", 1)]);
    assert_eq!(column(&profile, "c").top_values_error, 0);
}

#[test]
fn rows_of_another_length_are_left_out_and_reported() {
    let profile = profile("a,b\n1,2\n3\n4,5,6\n\"7\n7\",8\n9\n");
    assert_eq!(profile.rows, 2);
    assert_eq!(profile.malformed_rows.count, 3);
    assert_eq!(profile.malformed_rows.first_lines, [3, 4, 7], "a quoted line break counts as a line");
}

#[test]
fn the_delimiter_is_found_in_the_header() {
    for (csv, delimiter) in [("a;b\n1,5;2\n", ";"), ("a\tb\n1\t2\n", "\t"), ("a|b\n", "|"), ("\"x;y;z\",b\n", ",")] {
        let profile = profile(csv);
        assert_eq!((profile.delimiter.as_str(), profile.columns.len()), (delimiter, 2), "{csv}");
    }
    assert_eq!(profile("alone\n").delimiter, ",");
}

#[test]
fn a_byte_order_mark_crlf_and_an_empty_header_do_no_harm() {
    let profile = profile("\u{feff}a,,c\r\n1,2,3\r\n");
    let names: Vec<_> = profile.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["a", "column_2", "c"]);
    assert_eq!(profile.rows, 1);
}

#[test]
fn many_distinct_values_are_estimated_within_the_stated_error() {
    let csv: String = std::iter::once("c\n".to_owned()).chain((0..60_000).map(|n| format!("v{n}\n"))).collect();
    let profile = profile(&csv);
    let c = column(&profile, "c");
    assert!(!c.distinct_exact);
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let off = (c.distinct as f64 - 60_000.0).abs() / 60_000.0;
    assert!(off < 0.04, "off by {off}: five standard errors");
}

#[test]
fn a_frequent_value_stands_out_among_many() {
    let rows = (0..60_000).map(|n| if n % 3 == 0 { "often\n".to_owned() } else { format!("v{n}\n") });
    let profile = profile(&std::iter::once("c\n".to_owned()).chain(rows).collect::<String>());
    let c = column(&profile, "c");
    let first = &c.top_values[0];
    assert_eq!(first.value, "often");
    assert!(first.count <= 20_000 && first.count + c.top_values_error >= 20_000);
}

#[test]
fn quantiles_of_very_many_numbers_are_within_one_per_cent() {
    let csv: String = std::iter::once("c\n".to_owned()).chain((1..=300_000).map(|n| format!("{n}\n"))).collect();
    let profile = profile(&csv);
    let q = column(&profile, "c").quantiles.as_ref().unwrap();
    assert!(!q.exact);
    for (got, wanted) in [(q.p25, 75_000.0), (q.p50, 150_000.0), (q.p75, 225_000.0), (q.p95, 285_000.0)] {
        assert!((got / wanted - 1.0_f64).abs() < 0.011, "{got} for {wanted}");
    }
}

#[test]
fn the_shipped_data_set_is_profiled() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/flights-2013-01.csv");
    let profile = profile(&std::fs::read_to_string(path).unwrap());
    assert!(profile.rows > 1_000, "{}", profile.rows);
    assert_eq!(profile.malformed_rows.count, 0);
    assert!(profile.columns.iter().any(|column| column.quantiles.is_some()));
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (-50_i32..50).prop_map(|n| n.to_string()),
        2 => (-100.0_f64..100.0).prop_map(|x| format!("{x:.2}")),
        2 => Just(String::new()),
        1 => Just("NA".to_owned()),
        1 => "[a-c]{1,2}",
        1 => "[ -~]{0,6}",
    ]
}

proptest! {
    #[test]
    fn agrees_with_a_naive_reference(rows in prop::collection::vec([field(), field()], 0..60), piece in 1_u64..400) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["left", "right"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let profile = profile_in_pieces(&text, piece);
        prop_assert_eq!(profile.rows, rows.len() as u64);
        for (index, column) in profile.columns.iter().enumerate() {
            let wanted = naive::describe(rows.iter().map(|row| row[index].trim()));
            prop_assert_eq!((column.count, column.nulls, column.distinct), (wanted.count, wanted.nulls, wanted.distinct));
            let top: Vec<_> = column.top_values.iter().map(|top| (top.value.clone(), top.count)).collect();
            prop_assert_eq!(top, wanted.top);
            match (&column.quantiles, wanted.numbers) {
                (None, None) => prop_assert_eq!(column.mean, None),
                (Some(q), Some(numbers)) => {
                    let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
                    prop_assert!(close(column.mean.unwrap(), numbers.mean));
                    prop_assert!(close(q.p25, numbers.p25) && close(q.p50, numbers.p50) && close(q.p95, numbers.p95));
                    prop_assert!(close(column.min.as_f64().unwrap(), numbers.min));
                    prop_assert!(close(column.max.as_f64().unwrap(), numbers.max));
                    prop_assert_eq!(column.stddev.is_some(), wanted.count > 1);
                    if let Some(stddev) = column.stddev {
                        prop_assert!(close(stddev, numbers.stddev));
                    }
                }
                (got, _) => prop_assert!(false, "numbers or not? {got:?}"),
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(csv in ".{0,300}", delimiter in prop::option::of("[,;|\t]")) {
        let mut input = json!({ "csv": csv });
        if let Some(delimiter) = delimiter {
            input["delimiter"] = Value::String(delimiter);
        }
        let mut profiler = Profiler::new(serde_json::from_value(input).unwrap()).unwrap();
        while profiler.read(7).unwrap() {}
        profiler.finish();
    }
}
