//! A command line taken apart: `--name value`, `--name=value`, `-n5`, `-n 5`, `-n=5`, and several values behind one
//! name. What comes out is one option at a time by its long name, which is the form that argh reads.

use std::ffi::OsString;

use argh::{FlagInfo, FlagInfoKind, Optionality};

/// Another name for an option, and its own. argh gives its help no letter.
pub(super) const ALIASES: [(&str, &str); 2] = [("--seconds", "--test-time"), ("-h", "--help")];
/// Options that take several values with commas between them; others have spaces.
const WITH_COMMAS: [&str; 1] = ["--beside"];

/// An option as it was given.
#[derive(Debug, PartialEq)]
pub(super) struct Given {
    pub(super) name: &'static str,
    /// Not empty, if and only if the option takes a value.
    pub(super) values: Vec<String>,
}

/// Takes a command line apart.
///
/// # Errors
/// When an argument is no option, an option lacks its value or has one that it does not take, or an argument is not UTF-8.
pub(super) fn split(
    arguments: impl Iterator<Item = OsString>,
    flags: &'static [FlagInfo<'static>],
) -> Result<Vec<Given>, String> {
    let text = |argument: OsString| argument.into_string().map_err(|it| format!("{}: it is not UTF-8", it.display()));
    let arguments: Vec<String> = arguments.map(text).collect::<Result<_, _>>()?;
    let mut rest = &arguments[..];
    let mut given = Vec::new();
    while let [argument, behind @ ..] = rest {
        let (name, flag, glued) = begin(argument, flags)?;
        rest = behind;
        let values = match flag.kind {
            FlagInfoKind::Switch if glued.is_some() => return Err(format!("{argument}: {name} takes no value")),
            FlagInfoKind::Switch => Vec::new(),
            FlagInfoKind::Option { arg_name } => {
                let several = flag.optionality == Optionality::Repeating;
                let values = glued.map_or_else(|| take(&mut rest, several), |value| vec![value.to_string()]);
                if values.is_empty() {
                    return Err(format!("{name}: its value is missing, it is {name} {arg_name}"));
                }
                values
            }
        };
        given.push(Given { name: flag.long, values: one_by_one(flag.long, values) });
    }
    Ok(given)
}

/// The option that an argument begins: its name as it is written, the option, and the value in the same argument.
fn begin<'a>(
    argument: &'a str,
    flags: &'static [FlagInfo<'static>],
) -> Result<(&'a str, &'static FlagInfo<'static>, Option<&'a str>), String> {
    let is_long = argument.starts_with("--");
    let letter = argument.strip_prefix('-').and_then(|letters| letters.chars().next());
    let (name, glued) = match (is_long, letter) {
        (true, _) => argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value))),
        (false, Some(letter)) => {
            let (name, value) = argument.split_at('-'.len_utf8() + letter.len_utf8());
            (name, (!value.is_empty()).then(|| value.strip_prefix('=').unwrap_or(value)))
        }
        (false, None) => return Err(format!("{argument}: it is no option, and rushq-bench takes nothing else")),
    };
    let own = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, own)| own);
    let is_it = |flag: &&FlagInfo<'_>| if own.starts_with("--") { flag.long == own } else { flag.short == letter };
    let flag = flags.iter().find(is_it).ok_or_else(|| format!("{name}: there is no such option"))?;
    Ok((name, flag, glued))
}

/// The arguments in front that are values: one, or all up to the next option.
fn take(rest: &mut &[String], several: bool) -> Vec<String> {
    let is_value = |argument: &&String| argument.as_str() == "-" || !argument.starts_with('-');
    let count = rest.iter().take_while(is_value).count().min(if several { usize::MAX } else { 1 });
    let (values, behind) = rest.split_at(count);
    *rest = behind;
    values.to_vec()
}

fn one_by_one(name: &str, values: Vec<String>) -> Vec<String> {
    if !WITH_COMMAS.contains(&name) {
        return values;
    }
    values.iter().flat_map(|value| value.split(',')).map(str::to_string).collect()
}

/// The options as argh reads them: a name before each value, and of an option that is given again the last.
pub(super) fn in_long_form<'a>(given: &'a [Given], flags: &[FlagInfo<'_>]) -> Vec<&'a str> {
    let mut long_form = Vec::new();
    for (number, Given { name, values }) in given.iter().enumerate() {
        let all_count = flags.iter().any(|flag| flag.long == *name && flag.optionality == Optionality::Repeating);
        if !all_count && given[number + 1..].iter().any(|later| later.name == *name) {
            continue;
        }
        if values.is_empty() {
            long_form.push(*name);
        }
        values.iter().for_each(|value| long_form.extend([*name, value]));
    }
    long_form
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn flag(short: Option<char>, long: &'static str, optionality: Optionality) -> FlagInfo<'static> {
        let kind = FlagInfoKind::Option { arg_name: "N" };
        FlagInfo { kind, optionality, long, short, description: "", hidden: false }
    }

    const SWITCH: FlagInfo<'static> =
        FlagInfo { kind: FlagInfoKind::Switch, ..flag(Some('V'), "--version", Optionality::Optional) };
    static FLAGS: [FlagInfo<'static>; 5] = [
        flag(Some('c'), "--clients", Optionality::Optional),
        flag(None, "--test-time", Optionality::Optional),
        flag(None, "--beside", Optionality::Repeating),
        flag(None, "--compare", Optionality::Repeating),
        SWITCH,
    ];

    fn parts(line: &[&str]) -> Result<String, String> {
        let given = split(line.iter().map(OsString::from), &FLAGS)?;
        Ok(in_long_form(&given, &FLAGS).join(" "))
    }

    #[test]
    fn every_form_of_an_option_comes_to_the_same() {
        for line in [&["-c5"][..], &["-c", "5"], &["-c=5"], &["--clients", "5"], &["--clients=5"], &["-c4", "-c5"]] {
            assert_eq!(parts(line).as_deref(), Ok("--clients 5"), "{line:?}");
        }
        for line in
            [&["--seconds=3"][..], &["--seconds", "3"], &["--test-time", "3"], &["--test-time=1", "--seconds=3"]]
        {
            assert_eq!(parts(line).as_deref(), Ok("--test-time 3"), "{line:?}");
        }
        assert_eq!(parts(&["--clients=a=b", "-V"]).as_deref(), Ok("--clients a=b --version"));
        assert_eq!(parts(&["-c-x"]).as_deref(), Ok("--clients -x"));
        assert_eq!(parts(&["--clients="]).as_deref(), Ok("--clients "));
        assert_eq!(parts(&["-c", "-"]).as_deref(), Ok("--clients -"));
        assert_eq!(parts(&[]).as_deref(), Ok(""));
    }

    #[test]
    fn several_values_stand_behind_one_name() {
        assert_eq!(parts(&["--compare", "a,b", "c", "-V"]).as_deref(), Ok("--compare a,b --compare c --version"));
        assert_eq!(parts(&["--beside", "a,b", "c"]).as_deref(), Ok("--beside a --beside b --beside c"));
        assert_eq!(parts(&["--beside=a,b", "--beside=c"]).as_deref(), Ok("--beside a --beside b --beside c"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            (&["-c"][..], "-c: its value is missing, it is -c N"),
            (&["--clients", "-V"], "--clients: its value is missing, it is --clients N"),
            (&["--compare"], "--compare: its value is missing, it is --compare N"),
            (&["--version=1"], "--version=1: --version takes no value"),
            (&["-V1"], "-V1: -V takes no value"),
            (&["-z"], "-z: there is no such option"),
            (&["-é"], "-é: there is no such option"),
            (&["--client=1"], "--client: there is no such option"),
            (&["--"], "--: there is no such option"),
            (&["-c", "1", "2"], "2: it is no option, and rushq-bench takes nothing else"),
            (&["-"], "-: it is no option, and rushq-bench takes nothing else"),
            (&[""], ": it is no option, and rushq-bench takes nothing else"),
        ] {
            assert_eq!(parts(line), Err(expected.to_string()), "{line:?}");
        }
        use std::os::unix::ffi::OsStringExt;
        let error = split(std::iter::once(OsString::from_vec(b"-c\xff".to_vec())), &FLAGS).unwrap_err();
        assert!(error.starts_with("-c") && error.ends_with("it is not UTF-8"), "{error}");
    }
}
