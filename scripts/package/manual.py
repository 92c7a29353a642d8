#!/usr/bin/env python3
"""Makes man pages and completions for bash, zsh and fish of what --help prints, so that they have the same options.

Usage: manual.py DIRECTORY PROGRAM ...      PROGRAM is a binary; what is made is named after it
Makes in DIRECTORY: NAME.1, NAME.bash, _NAME (zsh) and NAME.fish for each. SOURCE_DATE_EPOCH is the date of the pages.
"""

import os
import pathlib
import re
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field

OPTION = re.compile(r"^  (?:(-\S), |    )(--[a-z][a-z-]*)(?: <(.+?)>)?(\.\.\.)?(?:  +(\S.*))?$")
COMMAND = re.compile(r"^  ([a-z]+)  +(\S.*)$")
VALUES = re.compile(r"\[possible values: (.*?)\]")
# Words of a value that is a path.
FILES, DIRECTORIES = {"FILE", "FILE.json"}, {"DIR"}


@dataclass
class Option:
    letter: str
    long: str
    value: str
    description: str

    @property
    def values(self):
        found = VALUES.search(self.description)
        return found.group(1).split(", ") if found else []

    @property
    def kind(self):
        """What its value is: none, one of some, a file, a directory, or something else."""
        if not self.value:
            return "none"
        if self.values:
            return "values"
        return "file" if self.value in FILES else "directory" if self.value in DIRECTORIES else "other"

    @property
    def summary(self):
        """What it is for, without its default and its values."""
        return re.sub(r" ?\[[^\]]*: [^\]]*\]", "", self.description)


@dataclass
class Help:
    about: str = ""
    usage: list = field(default_factory=list)
    # A heading and its options.
    groups: list = field(default_factory=list)
    # A name, a summary and a Help.
    commands: list = field(default_factory=list)

    @property
    def options(self):
        return [option for _, options in self.groups for option in options]


def read(text):
    """Understands what --help prints. What is none of its forms is an error: it would be missing from all that is made."""
    found, paragraph = Help(), []
    for line in text.splitlines():
        option, command = OPTION.match(line), COMMAND.match(line)
        if not line.strip():
            continue
        if line.startswith("Usage: ") or line.startswith("       ") and not found.groups:
            found.usage.append(line.removeprefix("Usage: ").strip())
        elif not found.usage:
            paragraph.append(line.strip())
        elif not line.startswith(" "):
            found.groups.append((line.removesuffix(":"), []))
        elif option:
            letter, long, value, _, description = option.groups()
            found.groups[-1][1].append(Option(letter or "", long, value or "", description or ""))
        elif command and found.groups[-1][0].startswith("Commands"):
            found.commands.append((command.group(1), command.group(2), None))
        elif line.startswith(" " * 20) and found.groups[-1][1]:
            last = found.groups[-1][1][-1]
            last.description = f"{last.description} {line.strip()}".strip()
        else:
            sys.exit(f"manual.py: a line of --help is not understood: {line!r}")
    found.about = " ".join(paragraph)
    found.groups = [(heading, options) for heading, options in found.groups if options]
    return found


def ask(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


# ---- the man page

def roff(text):
    """Text for roff: nothing in it is a request or an escape, and a dash can be copied as one."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\\&" + text if text[:1] in ".'" else text


def roff_options(options):
    lines = []
    for option in options:
        forms = ", ".join(f"\\fB{roff(form)}\\fR" for form in (option.letter, option.long) if form)
        value = f" \\fI{roff(option.value)}\\fR" if option.value else ""
        lines += [".TP", f"{forms}{value}", roff(option.description) + "."]
    return lines


def man(name, version, found, sections):
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    brief, _, more = found.about.partition(": ")
    brief = brief.removeprefix("A ").partition(". ")[0]
    lines = [f'.TH {roff(name.upper())} 1 "{date}" "{name} {version}" "User Commands"', ".SH NAME"]
    lines += [f"{roff(name)} \\- {roff(brief[0].lower() + brief[1:])}", ".SH SYNOPSIS"]
    for usage in found.usage:
        lines += [".B " + roff(usage.split()[0]), roff(" ".join(usage.split()[1:])), ".br"]
    lines += [".SH DESCRIPTION", roff(found.about) + ".", ".SH OPTIONS"]
    for heading, options in found.groups:
        lines += [f".SS {roff(heading)}", *roff_options(options)]
    if found.commands:
        shared = dict(found.commands[0][2].groups)["Server"]
        lines += [".SH COMMANDS", "Each speaks to a running server. All of them take the options of"]
        lines += [".BR Server ,", "at the end of this section."]
        for command, _, its in found.commands:
            lines += [f".SS {roff(its.usage[0])}", roff(its.about) + "."]
            lines += roff_options([option for heading, options in its.groups if heading != "Server" for option in options])
        lines += [".SS Server", *roff_options(shared)]
    for heading, paragraphs in sections:
        lines.append(f".SH {heading}")
        for term, text in paragraphs:
            lines += ([".TP", f"\\fB{roff(term)}\\fR"] if term else [".PP"]) + [roff(text)]
    # roff fills lines by itself, and some readers have a limit for one.
    wrapped = [textwrap.fill(line, 120, break_long_words=False, break_on_hyphens=False) if not line.startswith(".")
               else line for line in lines]
    return "\n".join(re.sub(r"(?m)^(?=[.'])", "\\&", text) if not line.startswith(".") else text
                     for line, text in zip(lines, wrapped)) + "\n"


SECTIONS = {
    "rushq": [
        ("ENVIRONMENT", [
            ("RUST_LOG", "What is logged, in place of -v, in the form of env_logger."),
            ("RUSHQ_PASSWORD", "The password of --user, for commands."),
        ]),
        ("FILES", [
            ("rushq-data", "The data directory, unless -H names another; of the Debian package it is /var/lib/rushq."),
            ("/etc/default/rushq", "Options of the server that the Debian package starts."),
        ]),
        ("SIGNALS", [
            ("SIGTERM, SIGINT, SIGQUIT", "Finish what was read, answer it, write a checkpoint, and exit."),
            ("SIGUSR1, SIGUSR2", "Begin and end to drain: sets are refused, gets go on."),
            ("SIGHUP", "Open --log-file again, and read the files again that options name."),
        ]),
        ("EXIT STATUS", [
            ("0", "After a stop, and of a command that has done what it was asked for."),
            ("1", "When a start is refused, the disk has failed, a second signal came, or a command has failed. The reason is one line."),
        ]),
        ("SEE ALSO", [("", "rushq-bench(1), systemctl(1)")]),
    ],
    "rushq-bench": [
        ("EXIT STATUS", [
            ("0", "After a run in which nothing was wrong."),
            ("1", "When the server or the run failed, or a check of the run found something."),
            ("2", "When the command line cannot be understood."),
        ]),
        ("SEE ALSO", [("", "rushq(1)")]),
    ],
}


# ---- bash

def bash(name, found):
    function = "_" + name.replace("-", "_")

    def words(options):
        return " ".join(form for option in options for form in (option.letter, option.long) if form)

    def cases(options):
        """What completes the value of an option, for those that take one."""
        actions = {"file": 'mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames',
                   "directory": 'mapfile -t COMPREPLY < <(compgen -d -- "$cur"); compopt -o filenames',
                   "other": "COMPREPLY=()"}
        for option in options:
            if option.kind != "none":
                forms = "|".join(form for form in (option.letter, option.long) if form)
                of_values = f'mapfile -t COMPREPLY < <(compgen -W "{" ".join(option.values)}" -- "$cur")'
                yield f"                {forms}) {actions.get(option.kind, of_values)}; return ;;"

    lines = [f"# Completion of {name} for bash, made of its --help.", f"{function}() {{",
             '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="" options=""',
             "    COMPREPLY=()",
             "    # bash takes --name=value apart at the =.",
             '    if [ "$cur" = "=" ]; then cur=""; elif [ "$prev" = "=" ]; then prev="${COMP_WORDS[COMP_CWORD-2]}"; fi',
             '    case "${COMP_WORDS[1]-}" in']
    for command, _, _ in found.commands:
        lines.append(f'        {command}) if [ "$COMP_CWORD" -gt 1 ]; then command={command}; fi ;;')
    lines += ["        *) ;;", "    esac", '    case "$command" in']
    for command, its in [*((command, its) for command, _, its in found.commands), ("*", found)]:
        lines += [f"        {command})", f'            options="{words(its.options)}"', '            case "$prev" in',
                  *cases(its.options), "                *) ;;", "            esac", "            ;;"]
    lines += ["    esac"]
    if found.commands:
        names = " ".join(command for command, _, _ in found.commands)
        lines.append(f'    if [ "$COMP_CWORD" -eq 1 ]; then options="{names} $options"; fi')
    lines += ['    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")', "}", f"complete -F {function} {name}"]
    return "\n".join(lines) + "\n"


# ---- zsh

def zsh(name, found):
    def spec(option):
        text = re.sub(r"([\[\]:\\])", r"\\\1", option.summary).replace("'", "'\\''")
        value = re.sub(r"([\[\]:\\])", r"\\\1", option.value)
        action = {"none": "", "file": f":{value}:_files", "directory": f":{value}:_files -/", "other": f":{value}: ",
                  "values": f":{value}:({' '.join(option.values)})"}[option.kind]
        # Any may be given again: the last one counts, or all do.
        long = option.long + ("=" if option.value else "")
        forms = f"'*'{{{option.letter}{'+' if option.value else ''},{long}}}" if option.letter else f"'*'{long}"
        return f"{forms}'[{text}]{action}'"

    def arguments(options, indent):
        return " \\\n".join([f"{indent}_arguments -s -S", *(f"{indent}    {spec(option)}" for option in options)])

    lines = [f"#compdef {name}", f"# Completion of {name} for zsh, made of its --help.", ""]
    if found.commands:
        lines.append("local -a commands=(")
        lines += ["    '{}:{}'".format(command, summary.replace("'", "'\\''").replace(":", "\\:"))
                  for command, summary, _ in found.commands]
        lines += [")", "if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then", "    _describe command commands", "    return",
                  "fi", "case $words[2] in"]
        for command, _, its in found.commands:
            lines += [f"    {command})", "        shift words; (( CURRENT-- ))", arguments(its.options, "        "), "        return ;;"]
        lines += ["esac"]
    return "\n".join([*lines, arguments(found.options, "")]) + "\n"


# ---- fish

def fish(name, found):
    def quoted(text):
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def lines_of(options, condition):
        for option in options:
            letter = f" -s {option.letter[1:]}" if option.letter else ""
            action = {"none": "", "file": " -r -F", "directory": " -x -a '(__fish_complete_directories)'", "other": " -x",
                      "values": f" -x -a {quoted(' '.join(option.values))}"}[option.kind]
            yield f"complete -c {name}{condition}{letter} -l {option.long[2:]}{action} -d {quoted(option.summary)}"

    lines = [f"# Completion of {name} for fish, made of its --help.", f"complete -c {name} -f"]
    if found.commands:
        for command, summary, its in found.commands:
            lines.append(f"complete -c {name} -n __fish_use_subcommand -a {command} -d {quoted(summary)}")
            lines += lines_of(its.options, f" -n '__fish_seen_subcommand_from {command}'")
        names = " ".join(command for command, _, _ in found.commands)
        lines += lines_of(found.options, f" -n 'not __fish_seen_subcommand_from {names}'")
    else:
        lines += lines_of(found.options, "")
    return "\n".join(lines) + "\n"


def main(directory, programs):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for program in programs:
        name = pathlib.Path(program).name
        found = read(ask(program, "--help"))
        found.commands = [(command, summary, read(ask(program, command, "--help")))
                          for command, summary, _ in found.commands]
        version = ask(program, "--version").split()[1]
        (directory / f"{name}.1").write_text(man(name, version, found, SECTIONS[name]))
        (directory / f"{name}.bash").write_text(bash(name, found))
        (directory / f"_{name}").write_text(zsh(name, found))
        (directory / f"{name}.fish").write_text(fish(name, found))


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if "-h" in sys.argv[1:] or "--help" in sys.argv[1:] else 2)
    main(sys.argv[1], sys.argv[2:])
