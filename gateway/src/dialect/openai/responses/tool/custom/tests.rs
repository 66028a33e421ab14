use super::*;

#[test]
fn a_custom_tools_text_survives() {
    for text in ["", "*** Begin\n\"x\" \\ ü"] {
        assert_eq!(custom_input(&custom_arguments(text)), text);
    }
}

#[test]
fn a_custom_tools_text_is_read_as_far_as_it_goes() {
    let whole = custom_arguments("*** Begin\n\"x\" \\ \u{7} ü 😀");
    let text = custom_input(&whole);
    for (end, _) in whole.char_indices() {
        let begun = custom_input(&whole[..end]);
        assert!(text.starts_with(&begun), "{begun:?} of {:?}", &whole[..end]);
        // What is missing is no more than a character that is not whole.
        let n_read = custom_arguments(&begun).len() - "\"}".len();
        assert!(n_read + MAX_ESCAPE_BYTES >= end, "{begun:?} is too little of {:?}", &whole[..end]);
    }
    for (arguments, expected) in [
        (r#"{"input":"*** Begin Pat"#, "*** Begin Pat"),
        (r#" { "input" : "a\nb\"#, "a\nb"),
        (r#"{"input":"a\u00"#, "a"),
        (r#"{"input":"a\ud83d"#, "a"),
        (r#"{"input":"a\ud83d\ude0"#, "a"),
        (r#"{"input":"a\ud83d\ude00"#, "a😀"),
        (r#"{"input":"a\\"#, "a\\"),
        (r#"{"input":"a""#, "a"),
        (r#"{"input":"a","other":1}"#, "a"),
        (r#"{"input":"#, ""),
        (r#"{"inp"#, ""),
        ("", ""),
        ("*** Begin Patch", "*** Begin Patch"),
        (r#"{"other":"a"#, r#"{"other":"a"#),
        (r#"{"input":7}"#, r#"{"input":7}"#),
    ] {
        assert_eq!(custom_input(arguments), expected, "{arguments}");
    }
}
