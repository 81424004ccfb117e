"""What a command line cannot be read as, said in one sentence instead of argparse's usage."""

import argparse
import re
from typing import NoReturn

from lmexp.core.values.other_names import meant_keys
from lmexp.errors import ConfigError, nearest


def in_one_sentence(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Return the parser, changed so that it raises `ConfigError` where it would print its usage and exit."""

    def error(message: str) -> NoReturn:
        known = [option for action in parser._actions for option in action.option_strings]
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        if unknown:
            keys = meant_keys(unknown[1].lstrip("-").partition("=")[0])
            joined = [option for option in known if _joined(option) == _joined(unknown[1])]
            instead = f"; write {keys[0]}=VALUE" if keys and not joined else nearest(unknown[1], known)
            message = f"{unknown[1]} is not an option{instead}"
        raise ConfigError(f"{message}; see --help.")

    parser.error = error  # type: ignore[method-assign]
    return parser


def _joined(option: str) -> str:
    """Return an option without its dashes, as one may remember it."""
    return option.replace("-", "").replace("_", "").lower()
