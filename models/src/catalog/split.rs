//! Names of the parts of split models: `<name>-00002-of-00005.gguf`.

/// A part by its file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PartName {
    /// What stands before the numbers.
    pub(super) prefix: String,
    /// The dot and what follows, or nothing.
    pub(super) extension: String,
    /// The number of parts, at least 1.
    pub(super) total: u32,
    /// The part's number, from 1 to `total`.
    pub(super) number: u32,
}

impl PartName {
    /// The part that a file of this name is, if its name says so.
    pub(super) fn parse(file_name: &str) -> Option<Self> {
        let stem = crate::name::stem(file_name);
        let extension = file_name.strip_prefix(stem)?;
        let (rest, total) = stem.rsplit_once("-of-")?;
        let (prefix, number) = rest.rsplit_once('-')?;
        let (number, total) = (five_digits(number)?, five_digits(total)?);
        if prefix.is_empty() || number == 0 || number > total {
            return None;
        }
        Some(Self { prefix: prefix.to_owned(), extension: extension.to_owned(), total, number })
    }

    /// The file name of another part of the same model.
    pub(super) fn sibling(&self, number: u32) -> String {
        format!("{}-{number:05}-of-{:05}{}", self.prefix, self.total, self.extension)
    }
}

fn five_digits(text: &str) -> Option<u32> {
    let digits = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_names_are_recognised() {
        fn check(name: &str, expected: Option<(&str, u32, u32)>) {
            let part = PartName::parse(name);
            let found = part.as_ref().map(|part| (part.prefix.as_str(), part.number, part.total));
            assert_eq!(found, expected, "{name:?}");
            if let Some(part) = part {
                assert_eq!(part.sibling(part.number), name);
            }
        }
        check("a-00001-of-00003.gguf", Some(("a", 1, 3)));
        check("a-b.Q4-00003-of-00003.gguf", Some(("a-b.Q4", 3, 3)));
        check("a-00001-of-00001", Some(("a", 1, 1)));
        check("a-00000-of-00003.gguf", None);
        check("a-00004-of-00003.gguf", None);
        check("a-1-of-3.gguf", None);
        check("a-+0001-of-00003.gguf", None);
        check("-00001-of-00003.gguf", None);
        check("00001-of-00003.gguf", None);
        check("a-00001-of-00003-x.gguf", None);
        check("a.gguf", None);
    }
}
