//! A command line taken apart as getopt does it: `-drp22201`, `-p 22201`, `-vv`, `--port=22201`, `--port 22201`. What comes
//! out is one option at a time by its long name, which is the form that argh reads.

/// A name is suggested for a mistyped one when at most so many letters are to be added, taken away or replaced.
const SUGGESTION_EDITS_MAX: usize = 2;

/// An option that can be given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) letter: Option<char>,
    /// With its two dashes.
    pub(crate) long: &'static str,
    /// The word for its value in the help; `None`: it takes no value.
    pub(crate) value: Option<&'static str>,
    /// Each value that it is given counts. Of any other option the last one does.
    pub(crate) repeats: bool,
    /// It is in no help, and never suggested.
    pub(crate) hidden: bool,
    pub(crate) description: &'static str,
}

impl Known {
    /// Whether its value is a path.
    pub(crate) fn takes_path(&self) -> bool {
        self.value.is_some_and(|word| ["FILE", "DIR"].contains(&word))
    }
}

/// An option as it was given.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    pub(crate) option: &'a Known,
    /// There, if and only if the option takes one.
    pub(crate) value: Option<String>,
}

/// Takes the arguments apart, where all of them are options.
///
/// # Errors
/// When an argument is no option, or an option lacks its value or has one that it does not take.
pub(crate) fn split(arguments: impl Iterator<Item = String>, known: &[Known]) -> Result<Vec<Given<'_>>, String> {
    let (given, words) = split_with_words(arguments, known)?;
    words.first().map_or(Ok(given), |word| Err(no_option(word)))
}

/// Takes the arguments apart, where words stand before, between and behind the options. All behind `--` are words.
///
/// # Errors
/// When there is no such option, or an option lacks its value or has one that it does not take.
pub(crate) fn split_with_words(
    arguments: impl Iterator<Item = String>,
    known: &[Known],
) -> Result<(Vec<Given<'_>>, Vec<String>), String> {
    let mut rest = arguments;
    let (mut given, mut words) = (Vec::new(), Vec::new());
    while let Some(argument) = rest.next() {
        match argument.strip_prefix('-') {
            // The end of the options.
            Some("-") => words.extend(rest.by_ref()),
            Some(long) if long.starts_with('-') => given.push(split_long(&argument, known, &mut rest)?),
            Some(letters) if !letters.is_empty() => split_letters(letters, known, &mut rest, &mut given)?,
            _ => words.push(argument),
        }
    }
    Ok((given, words))
}

fn no_option(argument: &str) -> String {
    format!("{argument}: it is no option, and rushq takes nothing else")
}

/// `--name`, `--name=value` or `--name value`.
fn split_long<'a>(
    argument: &str,
    known: &'a [Known],
    rest: &mut impl Iterator<Item = String>,
) -> Result<Given<'a>, String> {
    let (name, glued) = match argument.split_once('=') {
        Some((name, value)) => (name, Some(value.to_string())),
        None => (argument, None),
    };
    let Some(option) = known.iter().find(|option| option.long == name) else {
        let suggestion = suggestion(name, known).map_or_else(String::new, |near| format!(", {near} perhaps"));
        return Err(format!("{name}: there is no such option{suggestion}"));
    };
    let value = match option.value {
        Some(word) => Some(glued.map_or_else(|| value_behind(name, word, rest), Ok)?),
        None if glued.is_some() => return Err(format!("{argument}: {name} takes no value")),
        None => None,
    };
    Ok(Given { option, value })
}

/// What follows a dash: `d`, `dr`, `p22201`, `p=22201`, `drp22201`, or letters of which the last takes the next argument.
fn split_letters<'a>(
    letters: &str,
    known: &'a [Known],
    rest: &mut impl Iterator<Item = String>,
    given: &mut Vec<Given<'a>>,
) -> Result<(), String> {
    let mut left = letters.chars();
    while let Some(letter) = left.next() {
        let option = known.iter().find(|option| option.letter == Some(letter));
        let option = option.ok_or_else(|| format!("-{letter}: there is no such option"))?;
        let Some(word) = option.value else {
            given.push(Given { option, value: None });
            continue;
        };
        let glued = left.as_str();
        let value = match glued.strip_prefix('=').unwrap_or(glued) {
            "" if glued.is_empty() => value_behind(&format!("-{letter}"), word, rest)?,
            value => value.to_string(),
        };
        given.push(Given { option, value: Some(value) });
        break;
    }
    Ok(())
}

/// The next argument, as the value of an option. One that begins with a dash is the next option.
fn value_behind(name: &str, word: &str, rest: &mut impl Iterator<Item = String>) -> Result<String, String> {
    let value = rest.next().filter(|value| !value.starts_with('-') || value == "-");
    value.ok_or_else(|| format!("{name}: its value is missing, it is {name} {word}"))
}

/// The option that was meant, if one is written nearly so.
fn suggestion(name: &str, known: &[Known]) -> Option<&'static str> {
    nearest(name, known.iter().filter(|option| !option.hidden).map(|option| option.long))
}

/// The word that was meant, if one is written nearly so.
pub(crate) fn nearest<'a>(name: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let edits = words.map(|word| (edits(name, word), word));
    edits.min().filter(|(edits, _)| *edits <= SUGGESTION_EDITS_MAX).map(|(_, word)| word)
}

/// How many letters are to be added, taken away or replaced to make one word of the other (Levenshtein's distance).
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    // From what was read of `one` so far to every beginning of `other`.
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (read, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], read + 1);
        for at in 0..other.len() {
            let replaced = diagonal + usize::from(letter != other[at]);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

/// The options as argh reads them: each by its long name, its value behind it, and of those that count once the last.
pub(crate) fn in_long_form(given: &[Given<'_>]) -> Vec<String> {
    let mut long_form = Vec::new();
    for (number, Given { option, value }) in given.iter().enumerate() {
        let again = || given[number + 1..].iter().any(|later| later.option.long == option.long);
        if value.is_some() && !option.repeats && again() {
            continue;
        }
        long_form.push(option.long.to_string());
        long_form.extend(value.clone());
    }
    long_form
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn known(letter: char, long: &'static str, value: Option<&'static str>) -> Known {
        Known { letter: Some(letter), long, value, repeats: false, hidden: false, description: "" }
    }

    const KNOWN: [Known; 5] = [
        known('d', "--daemon", None),
        known('v', "--verbose", None),
        known('p', "--port", Some("N")),
        known('H', "--home", Some("DIR")),
        Known { repeats: true, ..known('l', "--listen", Some("ADDRESS")) },
    ];

    fn parts(line: &[&str]) -> Result<String, String> {
        let given = split(line.iter().map(|argument| (*argument).to_string()), &KNOWN)?;
        Ok(in_long_form(&given).join(" "))
    }

    #[test]
    fn every_form_of_an_option_comes_to_the_same() {
        for line in [
            &["-p22201"][..],
            &["-p", "22201"],
            &["-p=22201"],
            &["--port", "22201"],
            &["--port=22201"],
            &["--port", "22201", "--"],
        ] {
            assert_eq!(parts(line).as_deref(), Ok("--port 22201"), "{line:?}");
        }
        assert_eq!(
            parts(&["-dvvp22201", "-H-x"]).as_deref(),
            Ok("--daemon --verbose --verbose --port 22201 --home -x")
        );
        assert_eq!(parts(&["-dp", "1", "-v"]).as_deref(), Ok("--daemon --port 1 --verbose"));
        assert_eq!(parts(&["--home=a=b", "-H", "-"]).as_deref(), Ok("--home -"));
        assert_eq!(parts(&["--home="]).as_deref(), Ok("--home "));
        assert_eq!(parts(&[]).as_deref(), Ok(""));
    }

    #[test]
    fn the_last_of_two_counts_unless_all_do() {
        assert_eq!(parts(&["-p1", "-d", "--port=2"]).as_deref(), Ok("--daemon --port 2"));
        assert_eq!(parts(&["-la", "-l", "b"]).as_deref(), Ok("--listen a --listen b"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            (&["-p"][..], "-p: its value is missing, it is -p N"),
            (&["-dp", "-v"], "-p: its value is missing, it is -p N"),
            (&["--home", "--daemon"], "--home: its value is missing, it is --home DIR"),
            (&["--daemon=1"], "--daemon=1: --daemon takes no value"),
            (&["-dZ"], "-Z: there is no such option"),
            (&["-d=1"], "-=: there is no such option"),
            (&["-é"], "-é: there is no such option"),
            (&["--prot=1"], "--prot: there is no such option, --port perhaps"),
            (&["--deamon"], "--deamon: there is no such option, --daemon perhaps"),
            (&["--colour"], "--colour: there is no such option"),
            (&["start"], "start: it is no option, and rushq takes nothing else"),
            (&["-d", "--", "-v"], "-v: it is no option, and rushq takes nothing else"),
            (&["-"], "-: it is no option, and rushq takes nothing else"),
            (&[""], ": it is no option, and rushq takes nothing else"),
        ] {
            assert_eq!(parts(line), Err(expected.to_string()), "{line:?}");
        }
    }

    #[test]
    fn words_stand_between_options() {
        let line = ["q", "-p1", "--home", "/d", "to", "--", "-v", "--port"];
        let (given, words) = split_with_words(line.iter().map(|it| (*it).to_string()), &KNOWN).expect("all are known");
        assert_eq!(in_long_form(&given).join(" "), "--port 1 --home /d");
        assert_eq!(words, ["q", "to", "-v", "--port"]);
    }

    #[test]
    fn edits_are_counted() {
        for (one, other, expected) in
            [("", "", 0), ("abc", "", 3), ("", "abc", 3), ("port", "prot", 2), ("home", "hom", 1), ("a", "b", 1)]
        {
            assert_eq!(edits(one, other), expected, "{one} {other}");
        }
    }
}
