"""The ``lmexp`` command: everything that reads what runs left behind.

Every verb takes ``store=PATH`` among its words (default: $LMEXP_STORE, else ``outputs`` here) and
has the exit codes of ``python -m lmexp.run``. Nothing here imports torch; what a verb needs is
imported when it is given.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

from lmexp.core.arguments import in_one_sentence
from lmexp.core.entry import command_line
from lmexp.errors import ConfigError, nearest
from lmexp.verbs.adopt import adopt
from lmexp.verbs.dashboard import dashboard
from lmexp.verbs.gc import gc
from lmexp.verbs.generate import generate
from lmexp.verbs.ls import ls
from lmexp.verbs.plan import plan
from lmexp.verbs.replay import replay
from lmexp.verbs.report import report
from lmexp.verbs.show import show
from lmexp.verbs.sync import sync
from lmexp.verbs.verify import verify
from lmexp.verbs.why import why


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    return command_line(_main, argv)


def _main(argv: list[str]) -> int:
    parser = in_one_sentence(_parser())
    arguments = parser.parse_intermixed_args(argv)
    if arguments.verb is None:
        parser.print_help()
        return 0
    return int(_verb(arguments.verb)(arguments))


def _parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {name:9} {(verb.__doc__ or '').splitlines()[0]}" for name, verb in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="lmexp",
        description="Read what runs of `python -m lmexp.run` left behind.",
        epilog=f"verbs:\n{verbs}\n\nRUN is a name, a unique prefix of one, or `last`.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("verb", nargs="?", help="what to do")
    parser.add_argument("words", nargs="*", help="names or overrides, and store=PATH")
    parser.add_argument("--json", action="store_true", help="print JSON (plan, ls, show, verify, gc)")
    parser.add_argument("--config-dir", metavar="DIR", help="your own configs (plan, why)")
    parser.add_argument("--config-name", metavar="NAME", default="config", help="primary config (plan, why)")
    parser.add_argument("--pipeline", metavar="FILE", help="the file that defines your own stages (replay)")
    parser.add_argument("--prompt", metavar="TEXT", default="", help="what to continue (generate)")
    parser.add_argument(
        "--sweep", metavar="NAME", action="append", default=[], help="this sweep's page (report)"
    )
    parser.add_argument("--keep", metavar="RUN", action="append", default=[], help="keep this run only (gc)")
    parser.add_argument("--save", action="store_true", help="put it on the wandb server (dashboard)")
    parser.add_argument("--downloads", action="store_true", help="also what can be downloaded again (gc)")
    parser.add_argument("--delete", action="store_true", help="really delete (gc)")
    return parser


def _verb(name: str) -> Callable[[argparse.Namespace], int]:
    if name not in VERBS:
        raise ConfigError(f"{name!r} is not a verb{nearest(name, VERBS)}; known: {', '.join(VERBS)}.")
    return VERBS[name]


VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "plan": plan,
    "why": why,
    "ls": ls,
    "show": show,
    "report": report,
    "verify": verify,
    "replay": replay,
    "generate": generate,
    "adopt": adopt,
    "sync": sync,
    "dashboard": dashboard,
    "gc": gc,
}

if __name__ == "__main__":
    sys.exit(main())
