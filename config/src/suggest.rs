//! The known name that a mistyped one is nearest to.

/// The nearest of `known`, when it is near enough to have been meant.
pub(crate) fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let limit = |candidate: &str| (name.len().max(candidate.len()) / 2).min(3);
    known
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= limit(candidate) || shares_a_word(name, candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `max_body` for `max_body_bytes`, `timeout` for `header_timeout_s`: a whole name inside another.
fn shares_a_word(name: &str, candidate: &str) -> bool {
    name.len() > 3 && (candidate.contains(name) || name.contains(candidate))
}

/// The Damerau-Levenshtein distance (optimal string alignment) in characters.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substituted.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_when_it_is_near() {
        let known = &["listen", "command", "max_body_bytes", "max_connections", "header_timeout_s"];
        let check = |name, expected| assert_eq!(nearest(name, known), expected, "{name}");
        check("listne", Some("listen"));
        check("lsten_", Some("listen"));
        check("Listen", Some("listen"));
        check("comand", Some("command"));
        check("max_body", Some("max_body_bytes"));
        check("max-connections", Some("max_connections"));
        check("port", None);
        check("", None);
    }

    #[test]
    fn distances() {
        let check = |a, b, expected| assert_eq!((distance(a, b), distance(b, a)), (expected, expected));
        check("", "abc", 3);
        check("abc", "abc", 0);
        check("abc", "acb", 1);
        check("kitten", "sitting", 3);
    }
}
