//! Templates that want to take the process down. Each has to end in an error, soon, on a thread that survives.

use std::time::{Duration, Instant};

use super::{chat, input};
use crate::prompt::budget::Limits;
use crate::prompt::{ChatTemplate, Limit, TemplateError};

/// Small enough that the time a test takes is not that of copying megabytes.
const LIMITS: Limits = Limits {
    text_bytes: 256 << 10,
    items: 10_000,
    made_bytes: 16 << 20,
    written_bytes: 2 << 20,
    time: Duration::from_secs(2),
};

fn run(source: &str) -> Result<String, TemplateError> {
    ChatTemplate::compile_within(source, "", "", LIMITS)?.render(&input(&chat()))
}

fn check(source: &str, expected: fn(&TemplateError) -> bool) {
    let start = Instant::now();
    let result = run(source);
    let shown: String = source.chars().take(200).collect();
    match result {
        Ok(text) => panic!("{shown} gave {} bytes", text.len()),
        Err(error) => assert!(expected(&error), "{shown} failed with {error:?}"),
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{shown} took {:?}", start.elapsed());
}

fn is_refused(error: &TemplateError) -> bool {
    matches!(
        error,
        TemplateError::Refused { .. } | TemplateError::Compile(_) | TemplateError::TooLarge { .. }
    )
}

fn is_exceeded(error: &TemplateError) -> bool {
    matches!(error, TemplateError::Exceeded(_))
}

fn is_failed(error: &TemplateError) -> bool {
    matches!(error, TemplateError::Exceeded(_) | TemplateError::Render(_))
}

#[test]
fn what_is_too_deep_is_refused() {
    let deep = |open: &str, middle: &str, close: &str, times: usize| {
        format!("{{{{ {}{middle}{} }}}}", open.repeat(times), close.repeat(times))
    };
    for times in [500, 20_000] {
        check(&deep("-", "1", "", times), is_refused);
        check(&deep("not ", "1", "", times), is_refused);
        check(&deep("(", "1", ")", times), is_refused);
        check(&deep("[", "", "]", times), is_refused);
        check(&deep("{'a':", "1", "}", times), is_refused);
        check(&deep("f(", "", ")", times), is_refused);
        check(&deep("1 if 1 else ", "1", "", times), is_refused);
        check(&deep("", "1", " + 1", times), is_refused);
        check(&deep("", "1", " ~ 1", times), is_refused);
        check(&deep("", "1", " * 1", times), is_refused);
        check(&deep("", "1", " ** 1", times), is_refused);
        check(&deep("", "1", " == 1", times), is_refused);
        check(&deep("", "1", " and 1", times), is_refused);
        check(&deep("", "a", ".b", times), is_refused);
        check(&deep("", "a", "[0]", times), is_refused);
        check(&deep("", "a", "()", times), is_refused);
        check(&deep("", "a", "|trim", times), is_refused);
        check(&deep("", "a", " is string", times), is_refused);
        check(&deep("", "a", " if 1", times), is_refused);
    }
    for times in [100, 10_000] {
        check(&format!("{}{}", "{% if 1 %}".repeat(times), "{% endif %}".repeat(times)), is_refused);
        check(&format!("{}{}", "{% for a in [] %}".repeat(times), "{% endfor %}".repeat(times)), is_refused);
        check(&format!("{}{}", "{% set a %}".repeat(times), "{% endset %}".repeat(times)), is_refused);
    }
    check(&format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(10_000)), is_refused);
    check(&format!("{{% set x | {} %}}{{% endset %}}", ["trim"; 500].join("|")), is_refused);
    check(&"x".repeat(300 << 10), is_refused);
}

#[test]
fn what_is_no_template_is_refused() {
    for source in [
        "{{",
        "{%",
        "{#",
        "{{ 'a",
        "{{ ( }}",
        "{{ ) }}",
        "{{ (] }}",
        "{% if %}",
        "{% endif %}",
        "{% raw %}",
        "{{ \u{e9} }}",
        "{% include 'a' %}",
        "{% extends 'a' %}",
        "{% import 'a' as b %}",
        "{% autoescape true %}{% endautoescape %}",
        "{% macro _impetus_bounded(x) %}{% endmacro %}",
        "{{ _impetus_raw_text(1) }}",
        "{{ 1 2 }}",
        "{% nothing %}",
    ] {
        check(source, is_refused);
    }
}

#[test]
fn what_grows_is_stopped() {
    let doubled = |grow: &str| {
        format!(
            "{{% set ns = namespace(a='xxxxxxxx') %}}{{% for i in range(60) %}}{{% set ns.a = {grow} %}}{{% endfor %}}{{{{ ns.a|length }}}}"
        )
    };
    for grow in [
        "ns.a ~ ns.a",
        "ns.a + ns.a",
        "ns.a * 2",
        "2 * ns.a",
        "(ns.a ~ ns.a)",
        "ns.a|replace('x', 'xx')",
        "ns.a.replace('x', 'xx')",
        "ns.a.replace('', 'xx')",
        "[ns.a, ns.a]|join",
        "''.join([ns.a, ns.a])",
        "ns.a|join(ns.a)",
        "'%s%s'|format(ns.a, ns.a)",
        "'{0}{0}'.format(ns.a)",
        "(ns.a ~ '\"\\\\')|tojson|tojson|tojson|tojson",
        "ns.a|list + ns.a|list",
        "[ns.a, ns.a]|string",
        "[ns.a]|list|string + ns.a",
        "(ns.a ~ '<')|e ~ (ns.a|e)",
        "ns.a|indent(100) ~ ns.a",
        "'\\n'.join([ns.a, ns.a])|indent(900)",
        "ns.a ~ ns.a if true else ''",
        "{'b': ns.a ~ ns.a}.b",
        "[ns.a ~ ns.a][0]",
        "ns.a|upper ~ ns.a|title",
        "[ns.a, ns.a]|map('upper')|join",
        "ns.a|batch(1)|list|string",
        "'a'.join(ns.a|list) ~ ns.a",
    ] {
        check(&doubled(grow), is_failed);
    }
    for source in [
        "{{ 'x' * 1000000000 }}",
        "{{ 1000000000 * 'x' }}",
        "{{ ('x' * 250000) * 8000000 }}",
        "{{ 'x' * 3000 * 3000 * 3000 }}",
        "{{ [1] * 1000000000 }}",
        "{{ (1, 2) * 50000000 }}",
        "{{ range(1000000000) }}",
        "{{ range(-9223372036854775808, 9223372036854775807)|list }}",
        "{{ range(9223372036854775807, -9223372036854775808, -1) }}",
        "{{ [1]|batch(1000000000, 0) }}",
        "{{ [1]|slice(1000000000) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ '%*d'|format(1000000000, 1) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '{:{}}'.format(1, 1000000000) }}",
        "{{ '%.1000000000f'|format(1.5) }}",
        "{{ 'x'|indent(1000000000) }}",
        "{{ ('x' * 250000)|list|length }}",
        "{{ (',' * 250000).split(',')|length }}",
        "{{ ('x ' * 125000).split()|length }}",
        "{{ ['x' * 100000]|map('_imp' ~ 'etus_list')|list|length }}",
        "{{ ['y' * 250000, 'z' * 250000]|sum(start='') }}",
        "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
        "{% set a = namespace() %}{% set a.b = namespace(c=a) %}{{ a }}",
        "{% set ns = namespace(l=[]) %}{% set ns.l = [ns] %}{{ ns }}",
        "{{ messages|tojson(indent=1000000000) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for a in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
        "{% set ns = namespace(a=[]) %}{% for i in range(9999) %}{% set ns.a = [ns.a] %}{% endfor %}{{ ns.a }}",
        "{% set ns = namespace(a=[]) %}{% for i in range(9999) %}{% set ns.a = {'a': ns.a} %}{% endfor %}{{ ns.a }}",
        "{% set ns = namespace(a=[]) %}{% for i in range(9999) %}{% set ns.a = (ns.a, 1) %}{% endfor %}{{ ns.a }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = ns.l + ['x' * 250000] %}{% endfor %}",
        "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
        "{% set a = 'x' * 250000 %}{% for i in range(9999) %}{% for m in messages %}{% for k in messages %}{% if 'y' in a %}{% endif %}{% endfor %}{% endfor %}{% endfor %}",
        "{% set a = 'x' * 250000 %}{% for i in range(9999) %}{{ a }}{% endfor %}",
        "{% set a %}{% for i in range(9999) %}{{ messages }}{% endfor %}{% endset %}",
        "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}{% set ns = namespace(a='x') %}{% for i in range(60) %}{% set ns.a = m(ns.a) %}{% endfor %}",
        "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}{% set ns = namespace(a='x') %}{% for i in range(60) %}{% set ns.a = m(ns.a) ~ m(ns.a) %}{% endfor %}",
        "{{ strftime_now('%c' * 1000) }}",
        "{{ (0).__class__() }}",
        "{{ '1' * 250000 | from_json }}",
        "{{ ('[' * 100000)|from_json }}",
    ] {
        check(source, is_failed);
    }
}

#[test]
fn text_of_the_template_is_counted_too() {
    let text = "some text of the template ".repeat(2000);
    check(
        &format!("{{% set a %}}{{% for i in range(9999) %}}{text}{{% endfor %}}{{% endset %}}"),
        is_exceeded,
    );
    check(&format!("{{% for i in range(9999) %}}{text}{{% endfor %}}"), is_exceeded);
    check(&format!("{{% for i in range(9999) %}}{{% raw %}}{text}{{% endraw %}}{{% endfor %}}"), is_refused);
}

#[test]
fn limits_say_which_they_are() {
    let limit = |source: &str| match run(source) {
        Err(TemplateError::Exceeded(limit)) => limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit("{{ 'x' * 1000000000 }}"), Limit::Memory);
    assert_eq!(limit("{{ 'x' * 250000 }}{{ 'x' * 250000 }}"), Limit::Output);
    assert_eq!(
        limit(
            "{% for i in range(9000) %}{% for j in messages %}{% for k in messages %}{% for l in messages %}{% for m in messages %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}"
        ),
        Limit::Instructions
    );
    assert_eq!(
        limit("{% set ns = namespace(a=[]) %}{% for i in range(999) %}{% set ns.a = [ns.a] %}{% endfor %}"),
        Limit::Depth
    );
}

/// The limits that are used stop what is at its largest in bounded time as well.
#[test]
fn the_real_limits_hold() {
    let template = ChatTemplate::compile(
        "{% set ns = namespace(a='x') %}{% for i in range(60) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
        "",
        "",
    );
    let result = template.unwrap().render(&input(&chat()));
    assert!(matches!(result, Err(TemplateError::Exceeded(Limit::Memory))), "{result:?}");
}

/// The deepest syntax that is not refused fits the stack.
#[test]
fn what_is_not_refused_compiles() {
    for (open, close) in [
        ("(", " - 1"),
        ("(not ", ""),
        ("(-", ""),
        ("(1 if 1 else ", ""),
        ("(", "|trim"),
        ("(", ".a"),
        ("[", "[0]"),
    ] {
        let mut expression = "1".to_owned();
        for _ in 0..19 {
            let (bracket, prefix) = open.split_at(1);
            let closing = if bracket == "(" { ")" } else { "]" };
            let times = if prefix.is_empty() || close.is_empty() { 75 } else { 1 };
            expression =
                format!("{}{bracket}{expression}{closing}{}", prefix.repeat(times), close.repeat(times));
        }
        let blocks = 39;
        let source =
            format!("{}{{{{ {expression} }}}}{}", "{% if 0 %}".repeat(blocks), "{% endif %}".repeat(blocks));
        assert_eq!(run(&source).unwrap(), "", "{open} {close}");
    }
}
