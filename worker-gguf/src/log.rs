//! llama.cpp's log lines as tracing events; its last errors are kept, since a failed load says no more than
//! "failed".

use std::{
    collections::VecDeque,
    ffi::{CStr, c_char, c_void},
    sync::Mutex,
};

use tracing::{debug, error, trace, warn};

/// Errors that are kept.
const KEPT_ERRORS: usize = 4;
/// Bytes of a line; longer ones are cut.
const MAX_LINE_BYTES: usize = 4096;

struct State {
    line: String,
    level: llama_cpp_sys_2::ggml_log_level,
    errors: VecDeque<String>,
}

static STATE: Mutex<State> = Mutex::new(State {
    line: String::new(),
    level: llama_cpp_sys_2::GGML_LOG_LEVEL_NONE,
    errors: VecDeque::new(),
});

/// Routes the library's lines here from now on.
pub(crate) fn install() {
    // SAFETY: the callback is a function that lives for ever and needs no data.
    unsafe {
        llama_cpp_sys_2::llama_log_set(Some(receive), std::ptr::null_mut());
        llama_cpp_sys_2::ggml_log_set(Some(receive), std::ptr::null_mut());
    }
}

/// What the library complained of last, in one line.
pub(crate) fn last_errors() -> Option<String> {
    let state = STATE.lock().ok()?;
    (!state.errors.is_empty()).then(|| state.errors.iter().cloned().collect::<Vec<_>>().join("; "))
}

/// Called by the library, from any of its threads, with parts of lines.
unsafe extern "C" fn receive(level: llama_cpp_sys_2::ggml_log_level, text: *const c_char, _: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: the library passes a NUL-terminated string that lives during the call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let Ok(mut state) = STATE.lock() else { return };
    if level != llama_cpp_sys_2::GGML_LOG_LEVEL_CONT {
        state.level = level;
    }
    for part in text.split_inclusive('\n') {
        if state.line.len() < MAX_LINE_BYTES {
            state.line.push_str(part.trim_end_matches('\n'));
        }
        if part.ends_with('\n') {
            let line = std::mem::take(&mut state.line);
            emit(&mut state, &line);
        }
    }
}

fn emit(state: &mut State, line: &str) {
    // Progress dots and empty lines say nothing.
    if line.chars().all(|c| c == '.' || c.is_whitespace()) {
        return;
    }
    match state.level {
        llama_cpp_sys_2::GGML_LOG_LEVEL_ERROR => {
            if state.errors.len() == KEPT_ERRORS {
                state.errors.pop_front();
            }
            state.errors.push_back(line.to_owned());
            error!(target: "llama.cpp", "{line}");
        }
        llama_cpp_sys_2::GGML_LOG_LEVEL_WARN => warn!(target: "llama.cpp", "{line}"),
        llama_cpp_sys_2::GGML_LOG_LEVEL_INFO => debug!(target: "llama.cpp", "{line}"),
        _ => trace!(target: "llama.cpp", "{line}"),
    }
}
