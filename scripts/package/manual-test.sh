#!/usr/bin/env bash
# Checks what manual.py has made: every option of --help, by its letter and its long name, is in the man page and in all
# completions; man has nothing to say of the pages; bash, zsh and fish read theirs (zsh and fish where they are
# installed), and bash completes by them.
# Usage: manual-test.sh DIRECTORY PROGRAM ...
case "${1:-}" in -h | --help | "") sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail

directory="$1"
shift
fail() { echo "FAILED: $*" >&2; exit 1; }

# The options that a help lists, a line each: --name, or -x.
options_of() { grep -oE '^  (-., |    )--[a-z-]+' <<<"$1" | grep -oE -- '--[a-z-]+|-[A-Za-z0-9]\b' | sort -u; }

contains() {
    grep -qF -e "$2" <<<"$1" || fail "$3 is not in $4"
}

# What bash offers for a line whose last word is being typed.
completed() {
    local -a COMP_WORDS=("$@") COMPREPLY=()
    # The function reads both.
    # shellcheck disable=SC2034
    local COMP_CWORD=$(($# - 1))
    "_${1//-/_}" 2>/dev/null
    printf '%s\n' "${COMPREPLY[@]}"
}

offers() {
    local expected="$1" offered
    shift
    offered="$(completed "$@")"
    grep -qxF -e "$expected" <<<"$offered" || fail "bash does not offer $expected for: $*; it offers: ${offered//$'\n'/ }"
}

check() {
    local name page option help command helps=() commands=() man_says
    name="$(basename "$1")"
    help="$("$1" --help)"
    mapfile -t commands < <(sed -n '/^Commands/,$s/^  \([a-z]*\) .*/\1/p' <<<"$help")
    helps=("$help")
    for command in "${commands[@]}"; do helps+=("$("$1" "$command" --help)"); done
    for page in "$name.1" "$name.bash" "_$name" "$name.fish"; do
        [ -s "$directory/$page" ] || fail "$directory/$page is missing"
    done
    local man zsh fish
    man="$(sed 's/\\-/-/g; s/\\&//g' "$directory/$name.1")" zsh="$(cat "$directory/_$name")" fish="$(cat "$directory/$name.fish")"
    # shellcheck disable=SC1090
    . "$directory/$name.bash"
    local number=0 count=0
    for help in "${helps[@]}"; do
        command=""
        [ "$number" -eq 0 ] || command="${commands[number - 1]}"
        number=$((number + 1))
        while read -r option; do
            count=$((count + 1))
            contains "$man" "\\fB$option\\fR" "$option" "$name.1"
            contains "$zsh" "$option" "$option" "_$name"
            case "$option" in
                --*) contains "$fish" " -l ${option#--} " "$option" "$name.fish" ;;
                *) contains "$fish" " -s ${option#-} " "$option" "$name.fish" ;;
            esac
            # shellcheck disable=SC2086
            offers "$option" "$name" $command "$option"
        done < <(options_of "$help")
    done
    for command in "${commands[@]}"; do
        offers "$command" "$name" ""
        contains "$man" "$name $command " "the command $command" "$name.1"
        contains "$zsh" "'$command:" "the command $command" "_$name"
        contains "$fish" " -a $command " "the command $command" "$name.fish"
    done
    if command -v man >/dev/null && [ -x /usr/bin/groff ]; then
        man_says="$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$directory/$name.1" 2>&1 >/dev/null)"
        [ -z "$man_says" ] || fail "man says of $name.1: $man_says"
        lexgrog "$directory/$name.1" >/dev/null || fail "lexgrog finds no name in $name.1"
    fi
    ! command -v zsh >/dev/null || zsh -n "$directory/_$name" || fail "zsh does not read _$name"
    ! command -v fish >/dev/null || fish -n "$directory/$name.fish" || fail "fish does not read $name.fish"
    [ "$count" -gt 20 ] || fail "$name has $count options"
    echo "$name: $count options and ${#commands[@]} commands are in its man page and its completions"
}

for program in "$@"; do check "$program"; done

# Values.
if declare -F _rushq >/dev/null; then
    scratch="$(mktemp -d)"
    trap 'rm -rf "$scratch"' EXIT
    mkdir "$scratch/data" && touch "$scratch/file"
    offers inline rushq --commit in
    offers inline rushq --commit = in
    offers waiting rushq top --sort wait
    offers "$scratch/data" rushq -H "$scratch/d"
    offers "$scratch/file" rushq --log-file "$scratch/f"
    offers "$scratch/file" rushq peek q -s "$scratch/f"
    [ -z "$(completed rushq -p 2)" ] || fail "bash offers something for a number"
    [ "$(completed rushq --segment-b)" = --segment-bytes ] || fail "bash offers more than what begins so"
    echo "bash completes values, files and directories"
fi
