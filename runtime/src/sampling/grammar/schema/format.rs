//! The formats of strings that are enforced, as regular expressions in Rust's syntax. Each allows less than its
//! definition where that has forms that hardly anybody reads.

use std::sync::LazyLock;

/// The expression of a format, without anchors; none where a format says nothing about which strings are valid, as
/// JSON Schema has it of unknown ones.
pub(super) fn regex(name: &str) -> Option<&'static str> {
    match name {
        "date" => Some(&DATE),
        "time" => Some(TIME),
        "date-time" => Some(&DATE_TIME),
        "duration" => Some(&DURATION),
        "email" => Some(&EMAIL),
        "hostname" => Some(&HOSTNAME),
        "ipv4" => Some(&IPV4),
        "ipv6" => Some(&IPV6),
        "uuid" => Some(UUID),
        "uri" => Some(&URI),
        _ => None,
    }
}

/// RFC 3339; the 29th of February in leap years alone.
static DATE: LazyLock<String> = LazyLock::new(|| {
    let any_year = "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])\
                    |(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))";
    let leap = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29";
    format!("(?:{any_year}|{leap})")
});

/// RFC 3339 without leap seconds, which exist on few days.
const TIME: &str = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";

static DATE_TIME: LazyLock<String> = LazyLock::new(|| format!("{}[Tt]{TIME}", *DATE));

/// RFC 3339, appendix A.
static DURATION: LazyLock<String> = LazyLock::new(|| {
    let n = "[0-9]{1,9}";
    let chain = |units: [&str; 3]| {
        let [first, second, third] = units;
        let last = format!("{n}{third}");
        let middle = format!("{n}{second}(?:{last})?");
        format!("(?:{n}{first}(?:{middle})?|{middle}|{last})")
    };
    let (date, time) = (chain(["Y", "M", "D"]), format!("T{}", chain(["H", "M", "S"])));
    format!("P(?:{date}(?:{time})?|{time}|{n}W)")
});

const LABEL: &str = "[A-Za-z0-9]{1,20}(?:-[A-Za-z0-9]{1,20}){0,1}";

/// RFC 1123.
static HOSTNAME: LazyLock<String> = LazyLock::new(|| format!(r"{LABEL}(?:\.{LABEL}){{0,4}}"));

/// RFC 5321, without quoted names and addresses in brackets.
static EMAIL: LazyLock<String> = LazyLock::new(|| {
    let name = "[A-Za-z0-9_+-]{1,20}";
    format!(r"{name}(?:\.{name}){{0,2}}@(?:{LABEL}\.){{1,4}}[A-Za-z]{{2,20}}")
});

/// RFC 2673.
static IPV4: LazyLock<String> = LazyLock::new(|| {
    let byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    format!(r"{byte}(?:\.{byte}){{3}}")
});

/// RFC 4291, without an IPv4 address in it.
static IPV6: LazyLock<String> = LazyLock::new(|| {
    let group = "[0-9A-Fa-f]{1,4}";
    let groups = |n: usize| match n {
        0 => String::new(),
        n => format!("{group}(?::{group}){{{}}}", n - 1),
    };
    let mut forms = vec![groups(8)];
    for before in 0..=7_usize {
        let after: Vec<_> = (0..=7 - before).map(groups).collect();
        forms.push(format!("{}::(?:{})", groups(before), after.join("|")));
    }
    format!("(?:{})", forms.join("|"))
});

const UUID: &str = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";

/// RFC 3986, with a host by its name or IPv4 address, or without any.
static URI: LazyLock<String> = LazyLock::new(|| {
    let char = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
    let tail = format!(r"(?:\?(?:{char}|[/?])*)?(?:#(?:{char}|[/?])*)?");
    format!(
        "[A-Za-z][A-Za-z0-9+.-]{{0,20}}:(?://{host}(?::[0-9]{{1,4}})?(?:/{char}*)*|{char}+(?:/{char}*)*){tail}",
        host = *HOSTNAME
    )
});
