//! Ids, each with the prefix by which the API's clients know what it is of.

/// A new id: the prefix of what it names and 128 random bits.
pub(super) fn new(prefix: &str) -> String {
    format!("{prefix}_{:032x}", rand::random::<u128>())
}

/// Of a response.
pub(super) const RESPONSE: &str = "resp";
/// Of a message.
pub(super) const MESSAGE: &str = "msg";
/// Of a thought.
pub(super) const REASONING: &str = "rs";
/// Of a function's call.
pub(super) const FUNCTION_CALL: &str = "fc";
/// Of a custom tool's call.
pub(super) const CUSTOM_CALL: &str = "ctc";

/// The prefix for items of this type.
pub(super) fn prefix_of(kind: &str) -> &'static str {
    match kind {
        "message" => MESSAGE,
        "reasoning" => REASONING,
        "function_call" => FUNCTION_CALL,
        "function_call_output" => "fco",
        "custom_tool_call" => CUSTOM_CALL,
        "custom_tool_call_output" => "ctco",
        _ => "item",
    }
}
