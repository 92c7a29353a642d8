//! Short options as getopt takes them, which argh alone does not: switches in one word (`-Nv`), and values glued to their
//! letter (`-p22201`). memcacheQ's start-up lines are written like that.

/// Letters that are followed by a value.
const WITH_VALUE: &str = "plHtmBc";
/// Letters that are not.
const SWITCHES: &str = "NFvh";

/// Takes grouped and glued short options apart, so that each option and each value is a word. `-h` becomes `--help`.
/// What is no such word is left for argh to judge.
pub(crate) fn take_apart(words: &[String]) -> Vec<String> {
    let mut apart = Vec::new();
    let mut is_value = false;
    for word in words {
        if std::mem::take(&mut is_value) {
            apart.push(word.clone());
            continue;
        }
        match options(word) {
            Some((options, value_follows)) => {
                apart.extend(options);
                is_value = value_follows;
            }
            None => apart.push(word.clone()),
        }
    }
    apart
}

/// Whether a letter is one of the short options.
#[cfg(test)]
pub(crate) fn knows(letter: char) -> bool {
    WITH_VALUE.contains(letter) || SWITCHES.contains(letter)
}

/// The options in a word, and whether the next word is the value of the last. `None`: it is no word of short options.
fn options(word: &str) -> Option<(Vec<String>, bool)> {
    let mut letters = word.strip_prefix('-').filter(|rest| !rest.is_empty() && !rest.starts_with('-'))?.chars();
    let mut options = Vec::new();
    while let Some(letter) = letters.next() {
        if letter == 'h' {
            options.push("--help".to_string());
        } else if SWITCHES.contains(letter) {
            options.push(format!("-{letter}"));
        } else if WITH_VALUE.contains(letter) {
            options.push(format!("-{letter}"));
            let value = letters.as_str();
            if value.is_empty() {
                return Some((options, true));
            }
            options.push(value.to_string());
            return Some((options, false));
        } else {
            return None;
        }
    }
    Some((options, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(line: &str) -> String {
        let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        take_apart(&words).join(" ")
    }

    #[test]
    fn groups_and_glued_values_come_apart() {
        assert_eq!(apart("-Nvv"), "-N -v -v");
        assert_eq!(apart("-p22201"), "-p 22201");
        assert_eq!(apart("-Np22201 -H/data -t 2"), "-N -p 22201 -H /data -t 2");
        assert_eq!(apart("-vh"), "-v --help");
    }

    #[test]
    fn a_value_is_never_taken_apart() {
        assert_eq!(apart("-H -Nv -t 2"), "-H -Nv -t 2");
        assert_eq!(apart("-NH -vv"), "-N -H -vv");
    }

    #[test]
    fn what_is_unknown_is_left_as_it_is() {
        for line in ["-x", "-Nx", "--commit thread", "-", "word"] {
            assert_eq!(apart(line), line);
        }
    }
}
