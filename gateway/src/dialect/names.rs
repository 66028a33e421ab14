//! Errors of workers in the words of the client's request.

use impetus_proto::Error;

/// What the client calls that which a worker knows by another name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) input: &'static str,
    /// The field that asks for a structure of the output.
    pub(super) structure: Option<String>,
    /// Where each function stands that the worker knows by its place among those that it got.
    pub(super) functions: Vec<String>,
}

impl Names {
    /// The error in the client's words.
    pub(super) fn of(&self, error: Error) -> Error {
        let renamed = match error.param.as_str() {
            "messages" | "prompt" => Some(self.input.to_owned()),
            "response_format" | "grammar" | "regex" | "choice" => self.structure.clone(),
            param => self.function(param),
        };
        match renamed {
            Some(param) => error.with_param(param),
            None => error,
        }
    }

    /// A field of a function, from `tools[0].function.name`.
    fn function(&self, param: &str) -> Option<String> {
        let (place, field) = param.strip_prefix("tools[")?.split_once(']')?;
        let path = self.functions.get(place.parse::<usize>().ok()?)?;
        Some(format!("{path}{}", field.strip_prefix(".function").unwrap_or(field)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_fields_of_the_client() {
        let names = Names {
            input: "prompt",
            structure: Some("guided_json".into()),
            functions: vec!["tools[2].function".into(), "functions[0]".into()],
        };
        let check = |param: &str, expected: &str| {
            assert_eq!(names.of(Error::invalid(param, "m")).param, expected, "{param}");
        };
        check("", "");
        check("stop", "stop");
        check("messages", "prompt");
        check("response_format", "guided_json");
        check("tools[0].function.parameters", "tools[2].function.parameters");
        check("tools[1].function", "functions[0]");
        check("tools[9].function", "tools[9].function");
        let unstructured = Names { structure: None, ..names.clone() };
        assert_eq!(unstructured.of(Error::invalid("grammar", "m")).param, "grammar");
    }
}
