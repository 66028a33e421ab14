use std::fs;
use std::path::Path;

use chrono::{Local, TimeZone};
use impetus_proto::worker;

use super::{ChatInput, ChatTemplate, TemplateError};

mod hostile;

fn message(role: &str, content: &str) -> worker::Message {
    worker::Message { role: role.to_owned(), content: content.to_owned(), ..worker::Message::default() }
}

fn input(chat: &worker::Chat) -> ChatInput {
    let now = Local.with_ymd_and_hms(2025, 7, 9, 12, 0, 0).single().unwrap();
    ChatInput::new(chat, now).unwrap()
}

const TOOLS: &str = r#"[{"type":"function","function":{"name":"get_weather","description":"Weather <now> & then.","parameters":{"type":"object","properties":{"city":{"type":"string","description":"Name of the city"},"unit":{"type":"string","enum":["c","f"],"description":"Unit"}},"required":["city"]}}}]"#;
const CALLS: &str = r#"[{"id":"call12345","type":"function","function":{"name":"get_weather","arguments":"{\"city\": \"Köln\"}"}}]"#;

fn chat() -> worker::Chat {
    worker::Chat {
        messages: vec![
            message("system", "Be brief."),
            message("user", "Hello"),
            message("assistant", "Hi there."),
            message("user", "Weather in Köln?"),
        ],
        ..worker::Chat::default()
    }
}

fn tool_chat() -> worker::Chat {
    let mut chat = chat();
    chat.messages.push(worker::Message { tool_calls_json: CALLS.to_owned(), ..message("assistant", "") });
    chat.messages.push(worker::Message {
        name: "get_weather".to_owned(),
        tool_call_id: "call12345".to_owned(),
        ..message("tool", "{\"temperature\": 21.5}")
    });
    chat.tools_json = TOOLS.to_owned();
    chat
}

fn render(source: &str, chat: &worker::Chat) -> Result<String, TemplateError> {
    ChatTemplate::compile(source, "<s>", "</s>")?.render(&input(chat))
}

/// What Python's Jinja made of the same templates, set up as Hugging Face does.
#[test]
fn jinja_is_jinja() {
    let check = |source: &str, expected: &str| {
        let mut chat = chat();
        chat.template_arguments_json =
            r#"{"flag": true, "n": 3, "d": {"b": 1, "a": [1, 2.5, null, "x<é\n"]}}"#.to_owned();
        match render(source, &chat) {
            Ok(text) => assert_eq!(text, expected, "{source}"),
            Err(error) => panic!("{source} failed: {error}"),
        }
    };
    check("  {% if true %}\n  x\n  {% endif %}\ny\n", "  x\ny");
    check("a {%- if true -%} \n b {%- endif +%} \n c", "ab \n c");
    check(
        "{{ d|tojson }}|{{ d|tojson(indent=2) }}|{{ d|tojson(sort_keys=true, ensure_ascii=true) }}|{{ [] | tojson(indent=2) }}",
        "{\"b\": 1, \"a\": [1, 2.5, null, \"x<é\\n\"]}|{\n  \"b\": 1,\n  \"a\": [\n    1,\n    2.5,\n    null,\n    \"x<é\\n\"\n  ]\n}|{\"a\": [1, 2.5, null, \"x<\\u00e9\\n\"], \"b\": 1}|[]",
    );
    check(
        "{{ d | tojson(separators=(',', ':')) }}{{ 'a\"b\\\\' | tojson }}",
        "{\"b\":1,\"a\":[1,2.5,null,\"x<é\\n\"]}\"a\\\"b\\\\\"",
    );
    check(
        "{{ flag }} {{ none }} {{ undefined_name }} {{ 1.0 }} {{ 7 // 2 }} {{ 7 / 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 2 * 3 * n / 2 * 2 }} {{ 1 + 2 * n - 4 * 2 }}",
        "True None  1.0 3 3.5 2 1024 18.0 -1",
    );
    check(
        "{{ 'ab' * n }} {{ n * 'ab' }} {{ [1, 2] * 2 }} {{ 'a' ~ 1 ~ true }} {{ ('a' ~ 'b') * 2 ~ 'c' }}",
        "ababab ababab [1, 2, 1, 2] a1True ababc",
    );
    check(
        "{{ messages[1:]|length }} {{ messages[::-1][0].content }} {{ 'abcdef'[1:4] }} {{ 'abc'[::-1] }} {{ messages[-1]['role'] }}",
        "3 Weather in Köln? bcd cba user",
    );
    check(
        "{{ ' a b '.strip() }}|{{ 'a,b'.split(',') }}|{{ 'a b  c'.split() }}|{{ 'x=y=z'.split('=', 1)[-1] }}|{{ 'xax'.replace('x', 'y', 1) }}|{{ 'aXa'.lower() }}|{{ 'ab'.startswith('a') }}|{{ '--a'.lstrip('-') }}|{{ 'a.b.c'.rsplit('.', 1) }}|{{ 'abc'.removeprefix('a') }}",
        "a b|['a', 'b']|['a', 'b', 'c']|y=z|yax|axa|True|a|['a.b', 'c']|bc",
    );
    check(
        "{% for m in messages %}{{ loop.index0 }}{{ m.role[0] }}{{ ',' if not loop.last }}{% endfor %}",
        "0s,1u,2a,3u",
    );
    check(
        "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{% if loop.index > 3 %}{% break %}{% endif %}{{ m.content }};{% endfor %}",
        "Hello;Hi there.;",
    );
    check(
        "{% set ns = namespace(n=0, s='') %}{% for m in messages if m.role == 'user' %}{% set ns.n = ns.n + 1 %}{% set ns.s = ns.s ~ m.content %}{% endfor %}{{ ns.n }} {{ ns.s }}",
        "2 HelloWeather in Köln?",
    );
    check(
        "{% macro m(a, b='x') %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}{{ m('p') ~ m('q') }}",
        "1x12pxqx",
    );
    check(
        "{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}{% for k, v in d.items() %}{{ k }}{% endfor %}{% for k, v in d|dictsort %}{{ k }}{% endfor %}",
        "b=1;a=[1, 2.5, None, 'x<é\\n'];baab",
    );
    check(
        "{{ d.get('zz', 'no') }} {{ d.a is sequence }} {{ d is mapping }} {{ 'x' is string }} {{ n is number }} {{ none is iterable }} {{ zz is defined }} {{ 'a' in d }} {{ 'é' in d.a[3] }} {{ 3 is divisibleby 3 }} {{ zz is not none }}",
        "no True True True True False False True True True True",
    );
    check(
        "{{ messages|map(attribute='role')|join(', ') }} {{ messages|selectattr('role', 'equalto', 'user')|list|length }} {{ [3, 1, 2]|sort|join }} {{ [1, 2, 3]|sum }} {{ messages|rejectattr('role', 'in', ['user'])|map(attribute='content')|list }}",
        "system, user, assistant, user 2 123 6 ['Be brief.', 'Hi there.']",
    );
    check(
        "{{ 'a\nb\n\nc'|indent(2) }}|{{ 'a\nb'|indent(2, true) }}|{{ 'a\nb'|indent(width='> ', first=true) }}",
        "a\n  b\n\n  c|  a\n  b|> a\n> b",
    );
    check(
        "{{ 'a'|replace('a', 'b') }}{{ ' x '|trim }}{{ 'abc'|upper }}{{ 'ab cd'|title }}{{ zz|default('D') }}{{ ''|default('E', true) }}{{ [1,2]|first }}{{ 'abc'|last }}{{ 3|string ~ 'x' }}{{ '%s-%03d'|format('a', 7) }}{{ '{}:{}'.format(1, 'b') }}",
        "bxABCAb CdDE1c3xa-0071:b",
    );
    check("{% generation %}\nx{% endgeneration %}y", "xy");
    check("{% set x %}\n a {{ n }}\n{% endset %}[{{ x }}]{% filter upper %}ab{% endfilter %}", "[ a 3\n]AB");
    check(
        "{{ {'a': 1, 'b': [true, none, 'q']} }} {{ (1, 'a') }} {{ range(1, 7, 2)|list }} {{ range(3, 0, -1)|list }}",
        "{'a': 1, 'b': [True, None, 'q']} (1, 'a') [1, 3, 5] [3, 2, 1]",
    );
    check(
        "{{ 'a' if n > 2 and not flag else 'b' if n else 'c' }} {{ n in [1, 3] }} {{ n not in [1] }} {{ 1 < n <= 3 }} {{ 'é'|length }} {{ -n + 1 }} {{ 1.5e3 * 2 }} {{ 2 * -n }}",
        "b True True True 1 -2 3000.0 -6",
    );
    check(
        "{% raw %}{{ x }}{% endraw %}{# comment {{ #}{{ '{{' }} {{ \"it's\" }} long text that is counted, with braces { like this } and more {\n{% if true %}    indented text that is long enough to be counted as well\n{% endif %}\n",
        "{{ x }}{{ it's long text that is counted, with braces { like this } and more {\n    indented text that is long enough to be counted as well\n",
    );
    check(
        "{{ strftime_now('%d %B %Y') }} {{ bos_token }}{{ eos_token }} {{ tools is none }} {{ add_generation_prompt }}",
        "09 July 2025 <s></s> True True",
    );
    check(
        "{% with a = n * 2, b = 'x' ~ n %}{{ a }}{{ b }}{% endwith %}{% set a, b = 1, 'z' %}{{ b }}{% set c = (1, 2) %}{{ c[1] }}",
        "6x3z2",
    );
    check("{% for a in [1, [2, [3]]] recursive %}{{ loop(a) if a is iterable else a }}{% endfor %}", "123");
}

/// Templates that do not accept one of the conversations: Gemma 2 knows no system messages, Firefunction needs a
/// variable of its own, Kimi K2 changes a list in place, which Hugging Face's sandbox refuses as well.
const REFUSING: [(&str, &str); 5] = [
    ("google-gemma-2-2b-it", "plain"),
    ("google-gemma-2-2b-it", "tools"),
    ("fireworks-ai-llama-3-firefunction-v2", "plain"),
    ("fireworks-ai-llama-3-firefunction-v2", "tools"),
    ("Kimi-K2-Instruct", "tools"),
];

/// The collection stands beside the repository where there is one; it is not ours to copy.
#[test]
fn templates_of_real_models_render() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/chat-templates");
    let Ok(files) = fs::read_dir(folder) else { return };
    let paths = files.map(|file| file.unwrap().path());
    for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "jinja")) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let source = fs::read_to_string(&path).unwrap();
        let template = ChatTemplate::compile(&source, "<s>", "</s>").unwrap();
        for (kind, chat) in [("plain", chat()), ("tools", tool_chat())] {
            match template.render(&input(&chat)) {
                Ok(prompt) => {
                    assert!(prompt.contains("Weather in K\u{f6}ln?"), "{name} {kind} gave {prompt}");
                }
                Err(error) => {
                    assert!(REFUSING.contains(&(name.as_str(), kind)), "{name} {kind} failed: {error}");
                }
            }
        }
    }
}

const CHATML: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>\n' }}\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

#[test]
fn the_last_message_can_be_continued() {
    let check = |source: &str, content: &str, expected: &str| {
        let messages = vec![message("user", "a\nb"), message("assistant", content)];
        let chat = worker::Chat { messages, continue_last: true, ..worker::Chat::default() };
        assert_eq!(render(source, &chat).unwrap(), expected, "{content:?} by {source}");
    };
    let begun = "<|im_start|>user\na\nb<|im_end|>\n<|im_start|>assistant\n";
    check(CHATML, "Once upon", &format!("{begun}Once upon"));
    check(CHATML, " Once upon ", &format!("{begun}Once upon"));
    check(&CHATML.replace(" | trim", ""), " Once upon ", &format!("{begun} Once upon "));
    check(CHATML, "b", &format!("{begun}b"));
    check(CHATML, "", begun);
    check(CHATML, " \n", begun);
}

#[test]
fn a_conversation_that_does_not_fit_is_refused() {
    let check = |source: &str, change: fn(&mut worker::Chat), expected: &str| {
        let mut chat = chat();
        change(&mut chat);
        let result = ChatInput::new(&chat, Local::now())
            .and_then(|input| ChatTemplate::compile(source, "", "")?.render(&input));
        assert_eq!(result.unwrap_err().to_string(), expected);
    };
    let refuses = "the model's chat template refuses the conversation";
    check("{{ raise_exception('no ' ~ messages[0].role) }}", |_| {}, &format!("{refuses}: no system"));
    let inner = "{% macro m() %}{{ raise_exception('inner') }}{% endmacro %}{{ m() }}";
    check(inner, |_| {}, &format!("{refuses}: inner"));
    check(
        CHATML,
        |chat| "{}".clone_into(&mut chat.tools_json),
        "tools_json is not valid: invalid type: map, expected a sequence at line 1 column 0",
    );
    check(
        CHATML,
        |chat| "[".clone_into(&mut chat.messages[2].tool_calls_json),
        "tool_calls_json is not valid: EOF while parsing a list at line 1 column 1",
    );
    check(
        CHATML,
        |chat| r#"{"messages": []}"#.clone_into(&mut chat.template_arguments_json),
        "template_arguments_json: \"messages\" cannot be set, it is what the conversation is passed as",
    );
    check(
        CHATML,
        |chat| chat.continue_last = true,
        "continue_last needs an assistant's message at the end of the conversation",
    );
    check(
        "{{ messages[0].content }}",
        |chat| {
            chat.messages.push(message("assistant", "Once"));
            chat.continue_last = true;
        },
        "the model's chat template does not show the last message as it is, so it cannot be continued",
    );
    check(
        "{{ messages.x.y }}",
        |_| {},
        "the model's chat template failed on this conversation: undefined value (in chat:1)",
    );
    check(
        " ",
        |_| {},
        "this model has no chat template; send a prompt to /v1/completions instead, or use a file of the model that \
         includes one",
    );
}

/// Templates disagree on the form of tool calls; each gets the form in which it shows them.
#[test]
fn tool_calls_take_the_form_that_the_template_shows() {
    let check = |call: &str, expected: &str| {
        let source = "{% for m in messages %}{% if m.tool_calls %}{% set f = m.tool_calls[0].function %}CALL\
            {% else %}{{ m.content }};{% endif %}{% endfor %}";
        let prompt = render(&source.replace("CALL", call), &tool_chat()).unwrap();
        assert!(prompt.contains(expected), "{call} gave {prompt}");
    };
    check("{{ f.arguments | tojson }}", "{\"city\": \"K\u{f6}ln\"}");
    check("{{ f.name + ' ' + f.arguments }}", "get_weather {\"city\": \"K\u{f6}ln\"}");
    check("{% if m.content is none %}{{ f.arguments|tojson }}{% endif %}", "{\"city\": \"K\u{f6}ln\"}");
    check("{{ m.content + f.arguments|tojson }}", ";{\"city\": \"K\u{f6}ln\"}");
}

/// What an assistant thought stands where the template looks for it.
#[test]
fn thoughts_of_a_history_go_where_the_template_looks() {
    let check = |source: &str, expected: &str| {
        let thinking = worker::Message { reasoning: "hmm".to_owned(), ..message("assistant", "Hi.") };
        let chat =
            worker::Chat { messages: vec![message("user", "Hello"), thinking], ..worker::Chat::default() };
        let source = format!("{{% for m in messages %}}{source}|{{% endfor %}}");
        assert_eq!(render(&source, &chat).unwrap(), expected, "{source}");
    };
    check("{{ m.reasoning_content }}{{ m.content }}", "Hello|hmmHi.|");
    check("{{ m.thinking }}{{ m.content }}", "Hello|hmmHi.|");
    check("{{ m.content.split('</think>')[-1] | trim }}", "Hello|Hi.|");
    check("{{ m.content }}{# </think> #}", "Hello|<think>\nhmm\n</think>\n\nHi.|");
    check("{{ m.content }}", "Hello|Hi.|");
}

/// Mistral's templates refuse ids that are not nine letters and digits.
#[test]
fn ids_of_calls_become_those_that_the_template_accepts() {
    let source = "{% for m in messages %}{% if m.tool_calls %}{% set c = m.tool_calls[0] %}\
        {% if c.id | length != 9 %}{{ raise_exception('ids') }}{% endif %}{{ c.id }}{{ c.function.arguments | tojson }}\
        {% else %}{{ m.tool_call_id }}{{ m.content }}{% endif %};{% endfor %}{{ tools | tojson }}";
    let mut chat = tool_chat();
    for message in &mut chat.messages {
        message.tool_calls_json = message.tool_calls_json.replace("call12345", "call_0123456789");
        if !message.tool_call_id.is_empty() {
            "call_0123456789".clone_into(&mut message.tool_call_id);
        }
    }
    let prompt = render(source, &chat).unwrap();
    let ids: Vec<&str> =
        prompt.split(';').filter_map(|part| part.split_once('{')).map(|(id, _)| id).take(2).collect();
    assert!(ids[0] == ids[1] && ids[0].len() == 9, "{prompt}");
    assert!(render(source, &tool_chat()).unwrap().contains("call12345{"));
}

#[test]
fn reasoning_is_turned_off_in_the_templates_own_way() {
    let check = |source: &str, expected: &str| {
        let reasoning = Some(worker::Reasoning { enabled: Some(false), ..worker::Reasoning::default() });
        let chat =
            worker::Chat { messages: vec![message("user", "a")], reasoning, ..worker::Chat::default() };
        assert_eq!(render(source, &chat).unwrap(), expected, "{source}");
    };
    let user = "{{ messages[0].content }}";
    check(&format!("{user}{{% if enable_thinking is false %}}!{{% endif %}}"), "a!");
    check(&format!("{user}{{% if not thinking is defined or thinking %}}<think>{{% endif %}}"), "a");
    check(&format!("{user}<think>\n"), "a<think>\n\n</think>\n\n");
    check(user, "a");
}

#[test]
fn variables_that_the_template_does_not_read_are_refused() {
    let check = |arguments: &str, expected: Option<&str>| {
        let template_arguments_json = arguments.to_owned();
        let chat = worker::Chat { template_arguments_json, ..chat() };
        let template = ChatTemplate::compile("{{ messages[0].content }}{{ known }}", "", "").unwrap();
        let refused = template.check_arguments(&input(&chat)).err().map(|error| error.to_string());
        assert_eq!(refused.as_deref().map(|words| words.split('"').nth(1).unwrap()), expected, "{arguments}");
    };
    check(r#"{"known": 1, "enable_thinking": false, "reasoning_effort": "low"}"#, None);
    check(r#"{"known": 1, "other": 2}"#, Some("other"));
}
