"""Completes the words of the ``lmexp`` command in a shell."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lmexp.errors import ConfigError, LmexpError, nearest

_BASH = """\
_lmexp() {
    local line=${COMP_LINE:0:COMP_POINT} word IFS=$'\\n'
    word=${line##*[[:space:]]}
    COMPREPLY=($(lmexp completion query -- "$line" 2>/dev/null))
    [[ $word == *=* ]] && COMPREPLY=("${COMPREPLY[@]#"${word%=*}="}")
    [[ ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace
}
complete -o default -F _lmexp lmexp"""
_ZSH = """\
_lmexp() {
    local -a found
    found=("${(@f)$(lmexp completion query -- "${LBUFFER}" 2>/dev/null)}")
    compadd -Q -S '' -- $found
}
compdef _lmexp lmexp"""
_FISH = """\
complete -c lmexp -f -a '(lmexp completion query -- (commandline -c) 2>/dev/null)'"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
_COMPOSED = ("run", "plan", "why")
_OF_RUNS = ("show", "report", "verify", "replay", "generate", "next", "score", "audit", "sync")


def complete(words: Sequence[str], verbs: Mapping[str, Sequence[str]]) -> int:
    """Print the script of the shell that `words` name, or what such a script asks for.

    `verbs` are those of the command, each with its options.
    """
    if words[:1] == ["query"]:
        with contextlib.suppress(LmexpError, OSError):
            print("\n".join(query(words[-1], verbs)))
        return 0
    shell = words[0] if len(words) == 1 else ""
    print(completion_script(shell))
    return 0


def completion_script(shell: str) -> str:
    """Return the script of a shell. Errors: `ConfigError` for another shell."""
    if shell not in SCRIPTS:
        raise ConfigError(
            f"completion takes one of {', '.join(SCRIPTS)}, was {shell!r}{nearest(shell, SCRIPTS)}."
        )
    return SCRIPTS[shell]


def query(line: str, verbs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what the last word of a command line may become; none where the line ends a word of its own."""
    words = line.split(" ")[1:]
    if len(words) <= 1:
        return _beginning(words[-1] if words else "", ("run", *verbs))
    verb, word = words[0], words[-1]
    if word.startswith("-"):
        options = verbs.get(verb, ("--multirun", "--config-dir", "--config-name", "--cfg"))
        return _beginning(word, (*options, "--help"))
    if verb in _COMPOSED:
        return _overrides(word)
    if verb in _OF_RUNS:
        return _beginning(word, ("last", *_runs()))
    return _beginning(word, SCRIPTS if verb == "completion" else ())


def _overrides(word: str) -> list[str]:
    """Return groups and keys, up to the next dot or equals sign."""
    from lmexp.core.graph.compose import own_config_dir, register_schemas
    from lmexp.core.graph.composing_errors import KEYS
    from lmexp.core.graph.groups import choice, groups
    from lmexp.core.provenance.own import shipped

    own = own_config_dir(None)
    found = groups([shipped("conf"), *([Path(own)] if own else [])])
    if "=" in word:
        return _beginning(
            word, (choice(group, option) for group, options in found.items() for option in options)
        )
    register_schemas(own=own)
    every = [*(choice(group, "") for group in found), *(f"{key}=" for key in KEYS)]
    return list(dict.fromkeys(_next_part(name, len(word)) for name in every if name.startswith(word)))


def _next_part(name: str, typed: int) -> str:
    """Return the name up to the first dot or equals sign behind what is typed, that sign included."""
    ends = [name.find(sign, typed) for sign in ".="]
    return name[: min((end for end in ends if end >= 0), default=len(name)) + 1]


def _runs() -> list[str]:
    from lmexp.core.records.runs import list_runs
    from lmexp.core.store.store import Store
    from lmexp.core.values.settings import absolute_store, default_store

    return [run.name for run in list_runs(Store(absolute_store(default_store())))]


def _beginning(word: str, candidates: Iterable[str]) -> list[str]:
    return [candidate for candidate in candidates if candidate.startswith(word)]
