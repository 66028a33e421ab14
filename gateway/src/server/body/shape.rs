//! The shape of a body, measured in one pass before anything is parsed.

use impetus_proto::Error;

/// Refuses a body that is nested too deeply, or that has too many objects in one list at its top, such as the messages
/// of a chat. What is no JSON is somebody else's to refuse.
pub(super) fn check(body: &[u8], max_depth: usize, max_messages: usize) -> Result<(), Error> {
    let (mut depth, mut n_objects) = (0_usize, 0_usize);
    let (mut is_text, mut is_escaped) = (false, false);
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => {
                depth += 1;
                if depth == 2 {
                    n_objects = 0;
                }
                n_objects += usize::from(depth == 3 && *byte == b'{');
                if depth > max_depth {
                    let message =
                        format!("the body is nested deeper than {max_depth} levels (gateway.max_depth)");
                    return Err(Error::invalid("", message));
                }
                if n_objects > max_messages {
                    let message = format!(
                        "a list of the body has more than {max_messages} messages or other objects \
                         (gateway.max_messages)"
                    );
                    return Err(Error::invalid("", message));
                }
            }
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_lists_are_bounded() {
        let check =
            |body: &str, expected: bool| assert_eq!(check(body.as_bytes(), 4, 2).is_ok(), expected, "{body}");
        check("", true);
        check("{\"a\":[[[]]]}", true);
        check("{\"a\":[[[[]]]]}", false);
        check("{\"a\":\"[[[[[[\\\"[[[\"}", true);
        check("{\"messages\":[{},{}]}", true);
        check("{\"messages\":[{},{},{}]}", false);
        check("{\"messages\":[{},{}],\"tools\":[{},{}]}", true);
        check("{\"input\":[1,2,3,4]}", true);
        check("{\"input\":[[1],[2],[3]]}", true);
        check("]]]]{{{{{", false);
    }
}
