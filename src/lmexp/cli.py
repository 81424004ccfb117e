"""The ``lmexp`` command: everything that reads what runs left behind.

Every verb takes ``store=PATH`` among its words (default: $LMEXP_STORE, else ``outputs`` here) and
has the exit codes of ``python -m lmexp.run``. Nothing here imports torch; what a verb needs is
imported when it is given. ``lmexp run`` is ``python -m lmexp.run``.
"""

import argparse
import sys
from collections.abc import Sequence

from lmexp.core.provenance.calling import version
from lmexp.core.running.arguments import in_one_sentence
from lmexp.core.running.entry import command_line
from lmexp.errors import ConfigError, nearest
from lmexp.verbs.table import OPTIONS, VERBS


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    return command_line(_main, argv)


def _main(argv: list[str]) -> int:
    if argv[:1] == ["run"]:  # its words are Hydra's, options included
        from lmexp.run import run_words_given

        return run_words_given(argv[1:])
    name = next((word for word in argv if word in VERBS), None)
    if name is None:
        return _without_verb(argv)
    rest = [*argv[: argv.index(name)], *argv[argv.index(name) + 1 :]]
    arguments = in_one_sentence(_parser(name)).parse_intermixed_args(rest)
    if getattr(arguments, "extensions", None):
        from lmexp.core.graph.extensions import activate

        activate(arguments.extensions)
    return int(VERBS[name].function(arguments))


def _without_verb(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="lmexp",
        usage="lmexp VERB [words] [options]; lmexp VERB --help",
        description="Repeatable language-model experiments.",
        epilog=_verbs_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lmexp {version()}", help="print it and exit")
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    words = in_one_sentence(parser).parse_args(argv).words
    if words:
        known = ("run", *VERBS)
        raise ConfigError(f"{words[0]!r} is not a verb{nearest(words[0], known)}; known: {', '.join(known)}.")
    parser.print_help()
    return 0


def _verbs_text() -> str:
    lines = [f"  {name:10} {verb.about}" for name, verb in VERBS.items()]
    return "\n".join(
        [
            "verbs:",
            "  run        OVERRIDES: run an experiment, or a sweep with -m; see lmexp run --help",
            *lines,
            "",
            "RUN is a name, a unique prefix of one, or `last`; store=PATH is another store than outputs.",
        ]
    )


def _parser(name: str) -> argparse.ArgumentParser:
    verb = VERBS[name]
    words, colon, about = verb.about.partition(": ")
    parser = argparse.ArgumentParser(
        prog=f"lmexp {name}",
        description=about if colon else verb.about,
        epilog="\n".join(verb.notes),
        usage=f"lmexp {name} {words + ' ' if colon else ''}[store=PATH] [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    for option in verb.options:
        parser.add_argument(option, **OPTIONS[option])
    return parser


if __name__ == "__main__":
    sys.exit(main())
