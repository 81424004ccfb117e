"""What Hydra and OmegaConf refuse, said in one sentence with the nearest name and what to write instead."""

import logging
import re
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import OmegaConfBaseException

from lmexp.core.graph.groups import groups
from lmexp.core.provenance.own import shipped
from lmexp.core.values.other_names import nearest_key
from lmexp.core.values.spelling import command, meant
from lmexp.errors import ConfigError, nearest

OWN = "; a variable of your own goes under vars, as +vars.NAME=VALUE"
ROOTS: list[Path] = []
"""The directories of configurations; filled as schemas are registered."""
KEYS: dict[str, None] = {}
"""The dotted names of all keys and groups of the schemas that are registered, those of all kinds too."""
REFUSED: dict[str, str] = {}
"""Names that shipped pipelines refuse, with the reason; filled as their schemas are registered."""


class translated_errors:  # noqa: N801 - reads as a context
    """Turn what Hydra and OmegaConf raise into one sentence."""

    def __enter__(self) -> None:
        logging.getLogger("hydra").setLevel(logging.ERROR)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, HydraException | OmegaConfBaseException):
            raise ConfigError(_sentence(error)) from None
        if isinstance(error, yaml.YAMLError | UnicodeDecodeError):
            text = " ".join(str(error).split())
            raise ConfigError(f"a configuration file cannot be read: {text}") from None
        if isinstance(error, RecursionError):
            raise ConfigError("the configuration nests too deeply, or refers to itself.") from None
        if isinstance(error, ValueError) and "Config group override must be a string" in str(error):
            raise ConfigError(
                "a group is chosen by its name and cannot be null: only=[STAGE] runs a stage and what it "
                "needs, and tracking=none mirrors nothing."
            ) from None
        if isinstance(error, ValueError):
            raise ConfigError(f"the configuration cannot be composed: {error}") from None


def _sentence(error: BaseException) -> str:  # noqa: PLR0911 - one return for each kind of error
    text = " ".join(str(error).split())
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return _no_such_file(group, name, list(error.options or []))
    if isinstance(error, OverrideParseException):
        return f"the override {error.override!r} cannot be read; {_readable(str(error.override))}."
    if "Ambiguous value for argument" in text:
        found = re.search(r"argument '([^']*)'", text)
        return f"{found[1] if found else 'a value'} has several values: add -m to run one after the other."
    lost = re.search(r"Interpolation key '([^']+)' not found full_key: (\S+)", text)
    if lost:
        hint = nearest_key(lost[1], [], everywhere=KEYS)
        return f"{lost[2]} refers to ${{{lost[1]}}}, which is no key of this configuration{hint}."
    key = re.search(r"Could not (?:override|append to|delete from)(?: config\.)? '([^']+)'", text)
    if key and "No match in the defaults list" in text:
        return f"{key[1]} is a group without a default: write +{key[1]}=NAME."
    if key and "delete from" in key[0] and key[1] in KEYS:
        return f"{key[1]} is set by no file here, so that it has its default already; leave ~{key[1]} out."
    if key and isinstance(error, ConfigCompositionException | OmegaConfBaseException):
        return _about_key(key[1])
    return f"the configuration cannot be composed: {text}"


def _no_such_file(group: str, name: str, options: list[str]) -> str:
    """Return that a group has no such option, with the nearest, also of folders within the group."""
    found = groups(ROOTS or [shipped("conf")])
    top, _, folder = group.partition("/")
    if folder and group not in found and top in found:  # a folder within a group: experiment=course/week1
        group, name = top, f"{folder}/{name}"
    options = found.get(group, options) if group else _primary_names()
    inside = [option for option in options if option.rpartition("/")[2] == name.rpartition("/")[2]]
    hint = f" (did you mean {inside[0]!r}?)" if inside else nearest(name, options)
    known = f" (known: {', '.join(options)})" if options else ""
    return f"there is no {group or 'configuration'} {name!r}{hint}{known}."


def _readable(word: str) -> str:
    """Return how an override that Hydra cannot read has to be written."""
    spelled = meant(word)
    if spelled is None or spelled == word:
        return "write key=value, where a value that is no plain word needs quotes of its own: key='a b'"
    try:
        OverridesParser.create().parse_override(spelled)
    except HydraException:
        return "write key=value, where a value that is no plain word needs quotes of its own: key='a b'"
    return f"its value needs quotes of its own, and the shell needs some around them: {command([spelled])}"


def _primary_names() -> list[str]:
    """Return the names of the primary configurations, shipped and of the current directory."""
    roots = (shipped("conf"), Path.cwd() / "conf")
    return sorted({path.stem for root in roots for path in root.glob("*.yaml")} - {"engine"})


def _about_key(key: str) -> str:
    """Return why a key cannot be overridden."""
    if key in REFUSED:
        return f"{key} is not accepted: {REFUSED[key]}."
    if key not in KEYS:
        return f"{key} is not a known key{nearest_key(key, [], everywhere=KEYS) or OWN}."
    return (
        f"{key} is not in this configuration: write +{key}=VALUE, or add the pipeline's NAME_schema to its "
        f"defaults list."
    )
