//! Wildcard patterns as an ALB reads them: `*` is any number of characters, `?` exactly one.

/// Whether letters' case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Sensitive,
    Insensitive,
}

fn fold(text: &str, case: Case) -> Vec<char> {
    match case {
        Case::Sensitive => text.chars().collect(),
        Case::Insensitive => text.chars().map(|c| c.to_ascii_lowercase()).collect(),
    }
}

/// Whether `text` matches `pattern`. Time is length × length at the worst: no backtracking that explodes.
pub fn matches(pattern: &str, text: &str, case: Case) -> bool {
    // A balancer asks this for every request: plain ASCII, which nearly all of it is, is compared where it lies.
    if pattern.is_ascii() && text.is_ascii() {
        let equal = |a: u8, b: u8| match case {
            Case::Sensitive => a == b,
            Case::Insensitive => a.eq_ignore_ascii_case(&b),
        };
        return absorbs(pattern.as_bytes(), text.as_bytes(), [b'*', b'?'], equal);
    }
    let (pattern, text) = (fold(pattern, case), fold(text, case));
    absorbs(&pattern, &text, ['*', '?'], |a, b| a == b)
}

/// `star` stands for any number of letters, `one` for exactly one.
fn absorbs<L: Copy + PartialEq>(pattern: &[L], text: &[L], [star, one]: [L; 2], equal: impl Fn(L, L) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(&c) if c == star => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == one || equal(c, text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match last_star {
                Some((at, from)) => {
                    last_star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == star)
}

/// Whether every text that `narrow` matches is provably matched by `wide`. `false` may also mean "not proven".
pub fn contains(wide: &str, narrow: &str, case: Case) -> bool {
    let (wide, narrow) = (fold(wide, case), fold(narrow, case));
    // reach[j]: wide[..i] can absorb narrow[..j]. A star of `narrow` is absorbed only by a star of `wide`.
    let mut reach = vec![false; narrow.len() + 1];
    reach[0] = true;
    for w in &wide {
        let mut next = vec![false; narrow.len() + 1];
        if *w == '*' {
            let mut any = false;
            for (j, slot) in next.iter_mut().enumerate() {
                any |= reach[j];
                *slot = any;
            }
        } else {
            for (j, n) in narrow.iter().enumerate() {
                next[j + 1] = reach[j] && *n != '*' && (*w == '?' || w == n);
            }
        }
        reach = next;
    }
    reach[narrow.len()]
}

/// Whether some text is matched by both patterns.
pub fn overlap(a: &str, b: &str, case: Case) -> bool {
    let (a, b) = (fold(a, case), fold(b, case));
    let width = b.len() + 1;
    let mut reach = vec![false; (a.len() + 1) * width];
    reach[0] = true;
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if !reach[i * width + j] {
                continue;
            }
            let (x, y) = (a.get(i), b.get(j));
            // A star may stand for nothing, or swallow one character that the other pattern asks for.
            if x == Some(&'*') {
                reach[(i + 1) * width + j] = true;
                if y.is_some() {
                    reach[i * width + j + 1] = true;
                }
            }
            if y == Some(&'*') {
                reach[i * width + j + 1] = true;
                if x.is_some() {
                    reach[(i + 1) * width + j] = true;
                }
            }
            if let (Some(x), Some(y)) = (x, y)
                && *x != '*'
                && *y != '*'
                && (x == y || *x == '?' || *y == '?')
            {
                reach[(i + 1) * width + j + 1] = true;
            }
        }
    }
    reach[a.len() * width + b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks_match_as_the_guide_says() {
        let check =
            |pattern, text, expected| assert_eq!(matches(pattern, text, Case::Sensitive), expected, "{pattern} {text}");
        check("/img/*", "/img/a.png", true);
        check("/img/*", "/img/", true);
        check("/img/*", "/img", false);
        check("/img/*/pics", "/img/a/b/pics", true);
        check("/?.png", "/a.png", true);
        check("/?.png", "/.png", false);
        check("*", "", true);
        check("", "", true);
        check("", "a", false);
        check("a*b*c", "axxbyyc", true);
        check("a*b*c", "axxbyy", false);
        check("/API", "/api", false);
        assert!(matches("*.Example.com", "emr.example.COM", Case::Insensitive));
    }

    #[test]
    fn containment_is_proven_only_where_it_holds() {
        let check =
            |wide, narrow, expected| assert_eq!(contains(wide, narrow, Case::Sensitive), expected, "{wide} {narrow}");
        check("*", "/api/*", true);
        check("/api/*", "/api/v1/*", true);
        check("/api/v1/*", "/api/*", false);
        check("/api/*", "/api/x", true);
        check("/a?c", "/abc", true);
        check("/a?c", "/a*c", false);
        check("/a*c", "/a?c", true);
        check("*a*", "a", true);
    }

    #[test]
    fn overlap_finds_a_common_text() {
        let check = |a, b, expected| assert_eq!(overlap(a, b, Case::Sensitive), expected, "{a} {b}");
        check("/api/*", "*/v1", true);
        check("/api/*", "/img/*", false);
        check("/a?", "/ab", true);
        check("/a?", "/a", false);
        check("*", "", true);
    }

    fn pattern() -> impl Strategy<Value = String> {
        proptest::collection::vec(prop_oneof![Just('a'), Just('b'), Just('*'), Just('?')], 0..8)
            .prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn ascii_and_other_letters_are_matched_alike(p in pattern(), text in "[abAB]{0,8}") {
            let foreign = |text: &str| text.replace('a', "ä").replace('A', "Ä");
            let same = matches(&foreign(&p), &foreign(&text), Case::Sensitive);
            prop_assert_eq!(matches(&p, &text, Case::Sensitive), same);
        }

        #[test]
        fn what_the_narrow_matches_the_wide_matches(wide in pattern(), narrow in pattern(), text in "[ab]{0,8}") {
            if contains(&wide, &narrow, Case::Sensitive) && matches(&narrow, &text, Case::Sensitive) {
                prop_assert!(matches(&wide, &text, Case::Sensitive));
            }
            if matches(&wide, &text, Case::Sensitive) && matches(&narrow, &text, Case::Sensitive) {
                prop_assert!(overlap(&wide, &narrow, Case::Sensitive));
            }
        }

        #[test]
        fn a_pattern_contains_and_overlaps_itself(p in pattern()) {
            prop_assert!(contains(&p, &p, Case::Sensitive));
            prop_assert!(overlap(&p, &p, Case::Sensitive));
        }
    }
}
