use proptest::prelude::*;

use super::*;

fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_body_is_one_object() {
    let check = |body: &str, expected: &str| {
        let error = Fields::of_body(body.as_bytes()).unwrap_err();
        assert!(error.message.contains(expected), "{body:.40}: {error}");
        assert_eq!(error.param, "");
    };
    check("", "EOF while parsing a value at line 1 column 0");
    check("{\"a\": 1,\n \"b\" 2}", "expected `:` at line 2 column 6");
    check("{\"a\": NaN}", "line 1 column 7");
    check("[1]", "expected a JSON object");
    check("\"text\"", "expected a JSON object");
    check("{} {}", "trailing characters at line 1 column 4");
    check(&format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)), "deeper than 128 levels");
    let many: Vec<String> = (0..300).map(|i| format!("\"{i}\":0")).collect();
    check(&format!("{{{}}}", many.join(",")), "more than 256 fields");
    assert!(Fields::of_body(b"{\"a\":\"\xff\"}").is_err(), "not UTF-8");
}

#[test]
fn depth_counts_brackets_outside_strings() {
    let check =
        |json: &str, expected: bool| assert_eq!(is_deeper_than(json.as_bytes(), 2), expected, "{json}");
    check("[[1]]", false);
    check("[[[1]]]", true);
    check(r#"{"a":[1],"b":[2]}"#, false);
    check(r#"{"[[[[":"]]]]{{{"}"#, false);
    check(r#"{"a\"[[[":1}"#, false);
    check(r#"{"a\\":[[1]]}"#, true);
}

#[test]
fn integers_are_exact_and_in_range() {
    let check = |json: &str, expected: Result<i64, &str>| {
        let result = integer(raw(json), "f", 0..=i64::from(i32::MAX));
        match (result, expected) {
            (Ok(value), Ok(expected)) => assert_eq!(value, expected, "{json}"),
            (Err(error), Err(expected)) => {
                assert_eq!(error.message, expected, "{json}");
                assert_eq!(error.param, "f");
            }
            (result, _) => panic!("{json} gave {result:?}"),
        }
    };
    let range = |given| format!("f must be an integer between 0 and 2147483647, not {given}");
    check("0", Ok(0));
    check("8.0", Ok(8));
    check("1e3", Ok(1000));
    check("2147483647", Ok(2_147_483_647));
    for outside in ["-1", "2147483648", "9223372036854775808", "1e308", "1e999", "1.5", "-0.5"] {
        check(outside, Err(&range(outside)));
    }
    check("\"1\"", Err("f must be an integer, not a string"));
    check("true", Err("f must be an integer, not true or false"));
    check("[1]", Err("f must be an integer, not an array"));
}

#[test]
fn a_name_given_twice_has_its_last_value() {
    let mut fields = Fields::of_body(br#"{"n":1,"m":5,"n":2}"#).unwrap();
    assert_eq!(fields.integer("n", 0..=9).unwrap(), Some(2));
    assert_eq!(fields.rest().collect::<Vec<_>>(), ["m"]);
}

#[test]
fn an_array_is_bounded() {
    assert_eq!(elements(raw("[1, [2], {}]"), "f", "an array", 3).unwrap().len(), 3);
    let error = elements(raw("[1,2,3,4]"), "f", "an array", 3).unwrap_err();
    assert_eq!(error.message, "f must have at most 3 elements");
    assert_eq!(
        elements(raw("{}"), "f", "an array", 3).unwrap_err().message,
        "f must be an array, not an object"
    );
}

proptest! {
    #[test]
    fn no_body_is_too_strange(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        // What counts is that it returns.
        let _ = Fields::of_body(&body);
    }

    #[test]
    fn integers_in_range_are_kept(value in any::<i64>()) {
        let text = value.to_string();
        prop_assert_eq!(integer(raw(&text), "f", i64::MIN..=i64::MAX), Ok(value));
    }
}
