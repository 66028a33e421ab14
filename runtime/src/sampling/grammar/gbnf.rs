//! llama.cpp's grammars (GBNF, <https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md>) as Lark.
//!
//! GBNF knows characters and rules, Lark terminals and rules: whatever does not recur becomes a terminal, a regular
//! expression as a whole, so that terminals are as long as they can be and few of them compete.

mod parser;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;

use super::{GrammarError, Source, lark::quote};

/// Rules of one grammar.
const MAX_RULES: usize = 4096;

/// What a rule is made of.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Text(String),
    /// A regular expression that matches one character.
    Class(String),
    Rule(String),
    /// A control token, as Lark writes it too.
    Token(String),
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: Option<u32>,
    },
}

/// The rules of a grammar by their names.
struct Rules {
    nodes: HashMap<String, Node>,
    /// In the order in which they came.
    names: Vec<String>,
    /// Their places in that order.
    numbers: HashMap<String, usize>,
}

/// The rules of a Lark grammar, `start` first, with the language of `gbnf` or a part of it.
pub(super) fn to_lark(gbnf: &str) -> Result<String, GrammarError> {
    let rules = parser::parse(gbnf)?;
    if rules.names.len() > MAX_RULES {
        return Err(GrammarError::TooLarge {
            source_of: Source::Grammar,
            size: rules.names.len(),
            unit: "rules",
            limit: MAX_RULES,
        });
    }
    if !rules.nodes.contains_key("root") {
        return Err(refused("it has no rule `root`".to_owned()));
    }
    let kinds = rules.kinds()?;
    let mut lark = format!("start: {}\n", rules.name("root", &kinds));
    for name in &rules.names {
        if kinds.contains_key(name.as_str()) {
            let _ = write!(lark, "{}: ", rules.name(name, &kinds));
            rules.write(&rules.nodes[name], &kinds, &mut lark);
            lark.push('\n');
        }
    }
    Ok(lark)
}

fn refused(reason: String) -> GrammarError {
    GrammarError::Refused { source_of: Source::Grammar, reason }
}

/// What becomes of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Terminal,
    Rule,
}

impl Rules {
    /// What becomes of each rule that `root` reaches.
    fn kinds(&self) -> Result<HashMap<&str, Kind>, GrammarError> {
        let mut kinds: HashMap<&str, Kind> = HashMap::new();
        let mut reached = Vec::new();
        let mut open = vec!["root"];
        while let Some(name) = open.pop() {
            if kinds.contains_key(name) {
                continue;
            }
            let (name, node) = self
                .nodes
                .get_key_value(name)
                .ok_or_else(|| refused(format!("it uses the rule `{name}`, which it does not have")))?;
            kinds.insert(name, Kind::Rule);
            reached.push((name.as_str(), node));
            node.visit(&mut |node| {
                if let Node::Rule(name) = node {
                    open.push(name);
                }
            });
        }
        // Terminal is what is made of terminals alone; what recurs never gets there.
        let mut users: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut waiting: HashMap<&str, usize> = HashMap::new();
        for (name, node) in &reached {
            let mut n_others = 0;
            node.visit(&mut |node| match node {
                Node::Rule(used) => {
                    n_others += 1;
                    users.entry(used).or_default().push(name);
                }
                Node::Token(_) => n_others += 1,
                _ => {}
            });
            waiting.insert(name, n_others);
        }
        let mut terminals: Vec<&str> =
            reached.iter().map(|(name, _)| *name).filter(|name| waiting[name] == 0).collect();
        while let Some(name) = terminals.pop() {
            kinds.insert(name, Kind::Terminal);
            for user in users.remove(name).unwrap_or_default() {
                if let Some(n_others) = waiting.get_mut(user) {
                    *n_others -= 1;
                    terminals.extend((*n_others == 0).then_some(user));
                }
            }
        }
        Ok(kinds)
    }

    /// A name that Lark knows as one of a rule, or of a terminal.
    fn name(&self, name: &str, kinds: &HashMap<&str, Kind>) -> String {
        let number = self.numbers.get(name).copied().unwrap_or_default();
        match kinds.get(name) {
            Some(Kind::Terminal) => format!("G_{number}"),
            _ => format!("g_{number}"),
        }
    }

    fn write(&self, node: &Node, kinds: &HashMap<&str, Kind>, lark: &mut String) {
        match node {
            Node::Text(text) => lark.push_str(&quote(text)),
            Node::Class(regex) => {
                let _ = write!(lark, "/{regex}/");
            }
            Node::Rule(name) => lark.push_str(&self.name(name, kinds)),
            Node::Token(token) => lark.push_str(token),
            Node::Sequence(nodes) if nodes.is_empty() => lark.push_str("\"\""),
            Node::Sequence(nodes) => self.write_all(nodes, " ", kinds, lark),
            Node::Choice(nodes) => self.write_all(nodes, " | ", kinds, lark),
            Node::Repeat { node, least, most } => {
                self.write_all(std::slice::from_ref(node.as_ref()), "", kinds, lark);
                let _ = match most {
                    Some(most) => write!(lark, "{{{least},{most}}}"),
                    None => write!(lark, "{{{least},}}"),
                };
            }
        }
    }

    fn write_all(&self, nodes: &[Node], between: &str, kinds: &HashMap<&str, Kind>, lark: &mut String) {
        lark.push('(');
        for (idx, node) in nodes.iter().enumerate() {
            if idx > 0 {
                lark.push_str(between);
            }
            self.write(node, kinds, lark);
        }
        lark.push(')');
    }
}

impl Node {
    fn visit<'a>(&'a self, see: &mut impl FnMut(&'a Node)) {
        see(self);
        match self {
            Self::Sequence(nodes) | Self::Choice(nodes) => nodes.iter().for_each(|node| node.visit(see)),
            Self::Repeat { node, .. } => node.visit(see),
            Self::Text(_) | Self::Class(_) | Self::Rule(_) | Self::Token(_) => {}
        }
    }
}
