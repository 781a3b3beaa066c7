"""Write the completion scripts of this folder anew: `python completions/generate.py`.

Commands, options and their values stand in the scripts themselves, so that Tab starts no program; only for
names that can change (models, sessions, settings) is the installed llmcli asked.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.main import get_command

from llmcli.chat.builtin_templates import builtin_names
from llmcli.cli.app import COMMANDS, GROUPS, app, register
from llmcli.settings.engine import CACHE_TYPES

FOLDER = Path(__file__).parent
ASKED = ("models", "sessions", "settings")
"""Kinds of values whose names llmcli itself is asked for."""


@dataclass(frozen=True)
class Value:
    """What can follow: words, names of a kind that is asked for, files or folders."""

    words: tuple[str, ...] = ()
    asked: str = ""
    files: bool = False

    @classmethod
    def of(cls, metavar: str, flags: tuple[str, ...]) -> Value:
        """What an option's metavar promises: `a|b` words, FILE a file, REF a model."""
        parts = metavar.strip("[].").split("|")
        words = tuple(part for part in parts if part == part.lower() and part.isalnum() and part)
        if metavar == "TYPE":
            words = CACHE_TYPES
        if "--chat-template" in flags:
            words = tuple(builtin_names())
        asked = {"REF": "models", "KEY": "settings"}.get(metavar, "sessions" if "--session" in flags else "")
        places = ("FILE", "PATH", "FOLDER", "REF")
        return cls(words, asked, any(part.startswith(places) for part in parts))


@dataclass(frozen=True)
class Flag:
    """An option: its spellings, its help, and what follows it, None for a switch."""

    flags: tuple[str, ...]
    help: str
    value: Value | None


@dataclass(frozen=True)
class Entry:
    """A command: its words, its help, its options, what its arguments are, and the commands below it."""

    words: str
    help: str
    flags: tuple[Flag, ...]
    argument: Value | None
    below: tuple[str, ...] = ()


def entries() -> list[Entry]:
    """Every command as the program itself knows it, the program first."""
    app.registered_commands.clear()
    app.registered_groups.clear()
    register([*COMMANDS, *GROUPS])
    return list(_entries(get_command(app), ""))


def _entries(command: Any, words: str) -> Iterator[Entry]:
    flags, argument = [], None
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = (parameter.metavar or parameter.human_readable_name).strip("[].")
            argument = argument or Value.of(name, ())
        elif not parameter.hidden:
            spelled = tuple(sorted([*parameter.opts, *parameter.secondary_opts], key=len))
            value = None if parameter.is_flag else Value.of(parameter.metavar or "", spelled)
            flags.append(Flag(spelled, (parameter.help or "").partition(". ")[0].rstrip("."), value))
    flags.append(Flag(("-h", "--help"), "Show this message and exit", None))
    below = getattr(command, "commands", {})
    short = (command.help or "").partition("\n")[0].rstrip(".")
    yield Entry(words, short, tuple(flags), argument, tuple(below))
    for name, other in below.items():
        yield from _entries(other, f"{words} {name}".strip())


def bash(found: list[Entry]) -> str:
    """The script for bash."""
    lines = [
        "# llmcli's completion for bash; written by completions/generate.py",
        "",
        "_llmcli() {",
        "    local line=${COMP_LINE:0:COMP_POINT} command= word cur prev words= asked= files= flags= below=",
        "    local -a typed",
        "    local IFS=$' \\t\\n'",
        "    # Without -r: a backslash keeps a word together.",
        '    read -a typed <<<"$line"',
        "    if [[ $line == *[[:space:]] && $line != *\\\\[[:space:]] ]]; then cur=",
        "    else cur=${typed[-1]}; unset 'typed[-1]'; fi",
        "    prev=${typed[-1]}",
        '    for word in "${typed[@]:1}"; do',
        '        case "$command $word" in',
        f"            {_alternatives(f' {e.words}' if ' ' not in e.words else e.words for e in found[1:])})",
        "                command=${command:+$command }$word ;;",
        "        esac",
        "    done",
        "    if [[ $cur == --*=* ]]; then prev=${cur%%=*} cur=${cur#*=}; fi",
        "    case $command in",
    ]
    for entry in found:
        lines.append(f"        {shlex.quote(entry.words)})")
        lines.append(
            f"            flags={shlex.quote(' '.join(f for flag in entry.flags for f in flag.flags))}"
        )
        if entry.below:
            lines.append(f"            below={shlex.quote(' '.join(entry.below))}")
        lines.append("            case $prev in")
        for flag in entry.flags:
            if flag.value is not None:
                lines.append(
                    f"                {'|'.join(flag.flags)}) flags= below= {_bash_value(flag.value)};;"
                )
        if entry.argument is not None:
            lines.append(f"                *) {_bash_value(entry.argument)};;")
        lines += ["            esac ;;"]
    lines += [
        "    esac",
        "    [[ $flags && $cur == -* ]] && words=$flags asked= files=",
        "    [[ $below && $cur != -* ]] && words=$below",
        '    COMPREPLY=($(compgen -W "$words" -- "$cur"))',
        "    # Not by compgen -W: that runs a command which stands in a name.",
        "    local -a names=() places=()",
        '    [[ $asked ]] && mapfile -t names < <(_LLMCLI_NAMES=$asked "$1" 2>/dev/null)',
        "    if [[ $files && $asked ]]; then",
        '        mapfile -t places < <(compgen -d -- "$cur"; compgen -f -X \'!*.gguf\' -- "$cur")',
        '        COMPREPLY+=("${places[@]}")',
        "    fi",
        "    # bash takes : and = for the beginnings of words",
        '    local head=${cur%"${cur##*[:=]}"}',
        '    COMPREPLY=("${COMPREPLY[@]#"$head"}")',
        '    for word in "${names[@]}"; do',
        '        [[ $word == "$cur"* ]] || continue',
        '        word=${word#"$head"}',
        "        # readline quotes what it takes for the names of files, and nothing else",
        '        [[ $places ]] || printf -v word %q "$word"',
        '        COMPREPLY+=("$word")',
        "    done",
        "    [[ $places ]] && compopt -o filenames",
        "    [[ $files || $COMPREPLY ]] || compopt +o default",
        "}",
        "",
        "complete -o default -F _llmcli llmcli",
    ]
    return "\n".join(lines) + "\n"


def _alternatives(patterns: Iterator[str]) -> str:
    return "|".join(shlex.quote(pattern) for pattern in patterns)


def _bash_value(value: Value) -> str:
    parts = [f"words={shlex.quote(' '.join(value.words))}"] if value.words else []
    parts += [f"asked={value.asked}"] if value.asked else []
    parts += ["files=yes"] if value.files else []
    parts += [""] if parts else []
    return " ".join(parts)


def zsh(found: list[Entry]) -> str:
    """The script for zsh."""
    lines = ["#compdef llmcli", "# llmcli's completion for zsh; written by completions/generate.py", ""]
    for kind in ASKED:
        lines += [
            f"_llmcli_names_of_{kind}() {{",
            f'    local -a names=(${{(f)"$(_LLMCLI_NAMES={kind} llmcli 2>/dev/null)"}})',
            "    compadd -a names",
            "}",
            "",
        ]
    both = ["_llmcli_names_of_models", "_files -g '*.gguf(-.)'"]
    lines += ["_llmcli_files_and_models() {", *(f"    {line}" for line in both), "}", ""]
    for entry in found:
        name = "_llmcli" + "".join(f"_{word}" for word in entry.words.split())
        lines.append(f"{name}() {{")
        specs = [_zsh_flag(flag) for flag in entry.flags]
        if entry.below:
            words = [
                shlex.quote(f"{other.words.split()[-1]}:{_zsh_text(other.help)}")
                for other in found
                if other.words in {f"{entry.words} {below}".strip() for below in entry.below}
            ]
            specs += ["'1: :->command'", "'*:: :->rest'"]
            lines += [
                "    local curcontext=$curcontext state line",
                "    _arguments -C \\",
                *(f"        {spec} \\" for spec in specs[:-1]),
                f"        {specs[-1]}",
                "    case $state in",
                "        command) local -a commands=(",
                *(f"            {word}" for word in words),
                "        ); _describe command commands ;;",
                f"        rest) (( $+functions[{name}_$line[1]] )) && {name}_$line[1] ;;",
                "    esac",
            ]
        else:
            if entry.argument is not None:
                action = _zsh_action(entry.argument) or " "
                specs.append(f"'1:argument:{action}'" if entry.argument.asked else f"'*:argument:{action}'")
            lines += [
                "    _arguments \\",
                *(f"        {spec} \\" for spec in specs[:-1]),
                f"        {specs[-1]}",
            ]
        lines += ["}", ""]
    lines += ['if [[ $funcstack[1] == _llmcli ]]; then _llmcli "$@"; else compdef _llmcli llmcli; fi']
    return "\n".join(lines) + "\n"


def _zsh_flag(flag: Flag) -> str:
    text = f"[{_zsh_text(flag.help)}]"
    if flag.value is not None:
        text += f":value:{_zsh_action(flag.value) or ' '}"
    spelled = "{" + ",".join(flag.flags) + "}" if len(flag.flags) > 1 else flag.flags[0]
    return f"'*'{spelled}{shlex.quote(text)}"


def _zsh_action(value: Value) -> str:
    if value.asked and value.files:
        return "_llmcli_files_and_models"
    if value.asked:
        return f"_llmcli_names_of_{value.asked}"
    if value.words and value.files:
        return f"{{compadd -- {' '.join(value.words)}; _files}}"
    return f"({' '.join(value.words)})" if value.words else "_files" if value.files else ""


def _zsh_text(text: str) -> str:
    for mark in ("\\", "[", "]", ":"):
        text = text.replace(mark, f"\\{mark}")
    return text


def fish(found: list[Entry]) -> str:
    """The script for fish."""
    lines = ["# llmcli's completion for fish; written by completions/generate.py", ""]
    lines += [
        "function __llmcli_at --description 'whether these are the commands typed so far'",
        "    set -l at",
        "    for word in (commandline -opc)[2..]",
        f'        contains -- "$at$word" {" ".join(shlex.quote(e.words) for e in found[1:])}',
        '        and set at "$at$word "',
        "    end",
        '    test "$at" = "$argv "; or test -z "$at$argv"',
        "end",
        "",
        "complete -c llmcli -f",
    ]
    for entry in found:
        here = f"-n {shlex.quote(f'__llmcli_at {entry.words}'.strip())}"
        for flag in entry.flags:
            spelled = " ".join(_fish_flag(one) for one in flag.flags)
            lines.append(
                f"complete -c llmcli {here} {spelled}{_fish_value(flag.value)} -d {shlex.quote(flag.help)}"
            )
        for below in entry.below:
            other = next(e for e in found if e.words == f"{entry.words} {below}".strip())
            lines.append(f"complete -c llmcli {here} -a {below} -d {shlex.quote(other.help)}")
        if entry.argument is not None and (entry.argument.files or entry.argument.asked):
            files = " -F" if entry.argument.files else ""
            lines.append(f"complete -c llmcli {here}{files}{_fish_words(entry.argument)}")
    return "\n".join(lines) + "\n"


def _fish_flag(flag: str) -> str:
    if flag.startswith("--"):
        return f"-l {flag[2:]}"
    return f"-s {flag[1:]}" if len(flag) == 2 else f"-o {flag[1:]}"


def _fish_value(value: Value | None) -> str:
    if value is None:
        return ""
    return (" -r -F" if value.files else " -x") + _fish_words(value)


def _fish_words(value: Value) -> str:
    if value.asked:
        return f" -a '(_LLMCLI_NAMES={value.asked} llmcli 2>/dev/null)'"
    return f" -a {shlex.quote(' '.join(value.words))}" if value.words else ""


FILES = {"llmcli.bash": bash, "_llmcli": zsh, "llmcli.fish": fish}


def scripts() -> dict[str, str]:
    """The scripts as they should be, by their files' names."""
    found = entries()
    return {name: script(found) for name, script in FILES.items()}


if __name__ == "__main__":
    for name, text in scripts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
