//! systemd's syntax (systemd.syntax(7), systemd.service(5)): words in double quotes, in which a backslash, a quote and a
//! percent sign mean something, and in command lines a dollar sign too.

use std::path::Path;

use super::ServiceError;

/// A word in which nothing is replaced.
pub(super) fn quoted(path: &Path) -> Result<String, ServiceError> {
    let text = setting(path)?;
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")))
}

/// An argument of a command line.
pub(super) fn argument(path: &Path) -> Result<String, ServiceError> {
    Ok(quoted(path)?.replace('$', "$$"))
}

/// The program of a command line, in which systemd takes a dollar sign as it is, and quotes not at all.
pub(super) fn program(path: &Path) -> Result<String, ServiceError> {
    if setting(path)?.contains(['"', '\'', '\\']) {
        return Err(refused(path, "a quote or a backslash, which systemd takes in no program's path"));
    }
    quoted(path)
}

/// What can stand on a line at all.
pub(super) fn setting(path: &Path) -> Result<&str, ServiceError> {
    let text = path.to_str().ok_or_else(|| refused(path, "characters that are no UTF-8"))?;
    if text.contains(char::is_control) {
        return Err(refused(path, "control characters"));
    }
    Ok(text)
}

fn refused(path: &Path, what: &'static str) -> ServiceError {
    ServiceError::Path { path: path.into(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Escape = fn(&Path) -> Result<String, ServiceError>;

    #[test]
    fn paths_arrive_as_they_are() {
        let check = |escape: Escape, path: &str, expected: Result<&str, &str>| {
            let told = escape(Path::new(path)).map_err(|error| error.to_string());
            match (told, expected) {
                (Ok(told), Ok(expected)) => assert_eq!(told, expected),
                (Err(told), Err(expected)) => assert!(told.contains(expected), "{path}: {told}"),
                (told, _) => panic!("{path}: {told:?}"),
            }
        };
        check(program, "/opt/impetus/bin/supervisor", Ok("\"/opt/impetus/bin/supervisor\""));
        check(program, "/a b/50%/$x", Ok("\"/a b/50%%/$x\""));
        check(program, "/a\"b", Err("a quote or a backslash"));
        check(program, "/a\\b", Err("a quote or a backslash"));
        check(argument, "/a b/50%/$x\"\\é;'", Ok("\"/a b/50%%/$$x\\\"\\\\é;'\""));
        check(quoted, "/$x %h", Ok("\"/$x %%h\""));
        check(argument, "/a\nExecStart=/b", Err("control characters"));
    }
}
