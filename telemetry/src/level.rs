//! The `log.level` setting.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::TelemetryError;

/// Libraries that log every frame below `info`. They follow a directive that names them, not a bare level.
const QUIET: &str = "h2=info,hyper=info,hyper_util=info,tonic=info,tower=info";

/// Whether `level` is a level or directives.
pub fn check(level: &str) -> Result<(), TelemetryError> {
    parse(level).map(drop)
}

/// Reads a level or directives. A bare word must be a level: `tracing-subscriber` would take the slip `inof` for
/// the name of a target and log nothing else.
pub(crate) fn parse(level: &str) -> Result<EnvFilter, TelemetryError> {
    let refuse = |directive: &str| TelemetryError::Level { level: level.into(), directive: directive.into() };
    let mut directives: Vec<_> = level.split(',').map(str::trim).collect();
    for &directive in &directives {
        let is_bare = !directive.contains(['=', '[']);
        if directive.is_empty() || is_bare && directive.parse::<LevelFilter>().is_err() {
            return Err(refuse(directive));
        }
    }
    let is_chatty =
        |directive: &&str| directive.parse::<LevelFilter>().is_ok_and(|level| level > LevelFilter::INFO);
    if directives.iter().any(is_chatty) {
        // What stands first gives way to a later directive for the same target.
        directives.insert(0, QUIET);
    }
    EnvFilter::try_new(directives.join(",")).map_err(|_| refuse(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_does_not_wake_libraries_that_log_frames() {
        let check = |level: &str, says: &str, is_said: bool| {
            let filter = parse(level).expect("the level is valid").to_string();
            assert_eq!(filter.split(',').any(|directive| directive == says), is_said, "{level}: {filter}");
        };
        check("debug", "h2=info", true);
        check("trace", "hyper=info", true);
        check("info", "h2=info", false);
        check("warn", "h2=info", false);
        check("debug,h2=trace", "h2=trace", true);
        check("debug,h2=trace", "h2=info", false);
    }

    #[test]
    fn a_slip_is_refused_and_named() {
        let check = |level: &str, refused: Option<&str>| match (parse(level), refused) {
            (Ok(_), None) => {}
            (Err(TelemetryError::Level { directive, .. }), Some(expected)) => assert_eq!(directive, expected),
            (result, _) => panic!("{level:?} gave {result:?}"),
        };
        check("info", None);
        check("WARN", None);
        check("off", None);
        check("info,impetus_runtime=debug", None);
        check("info, hyper=off", None);
        check("warn,impetus_gateway[request{id=7}]=trace", None);
        check("inof", Some("inof"));
        check("impetus_runtime", Some("impetus_runtime"));
        check("info,,debug", Some(""));
        check("", Some(""));
        check("9", Some("9"));
        check("impetus_runtime=loud", Some("impetus_runtime=loud"));
    }
}
