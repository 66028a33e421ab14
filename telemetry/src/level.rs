//! The `log.level` setting.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::TelemetryError;

/// Reads a level or directives. A bare word must be a level: `tracing-subscriber` would take the slip `inof` for
/// the name of a target and log nothing else.
pub(crate) fn parse(level: &str) -> Result<EnvFilter, TelemetryError> {
    let refuse = |directive: &str| TelemetryError::Level { level: level.into(), directive: directive.into() };
    let directives: Vec<_> = level.split(',').map(str::trim).collect();
    for &directive in &directives {
        let is_bare = !directive.contains(['=', '[']);
        if directive.is_empty() || is_bare && directive.parse::<LevelFilter>().is_err() {
            return Err(refuse(directive));
        }
    }
    EnvFilter::try_new(directives.join(",")).map_err(|_| refuse(level))
}

#[cfg(test)]
mod tests {
    use super::*;

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
