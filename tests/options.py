"""The defaults and limits of configurations, one line an option."""

import dataclasses
import importlib
import inspect
import textwrap

from lmexp.core.values.config import Config


def table(*modules: str) -> str:
    """Return a line for each option of the configuration classes that modules define: default and limits."""
    lines = []
    for name in modules:
        module = importlib.import_module(name)
        for cls in vars(module).values():
            if inspect.isclass(cls) and issubclass(cls, Config) and cls.__module__ == name:
                lines += [f"{cls.__name__}.{field.name}{_limits(field)}" for field in _own(cls)]
    return "\n".join(textwrap.fill(line, 100, subsequent_indent="    ") for line in lines) + "\n"


def _own(cls: type[Config]) -> list[dataclasses.Field]:
    inherited = {
        f.name for base in cls.__mro__[1:] if dataclasses.is_dataclass(base) for f in dataclasses.fields(base)
    }
    return [field for field in dataclasses.fields(cls) if field.name not in inherited]


def _limits(field: dataclasses.Field) -> str:
    words = "" if field.default is dataclasses.MISSING else f" = {_short(field.default)}"
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    words += "".join(f" {signs[kind]} {bound}" for kind, bound in field.metadata["bounds"].items())
    if field.metadata["choices"] is not None:
        words += f" of {', '.join(map(str, field.metadata['choices']))}"
    if "absent_means" in field.metadata:
        words += f" (absent: {_short(field.metadata['absent_means'])})"
    return words


def _short(value: object) -> str:
    return type(value).__name__ if isinstance(value, Config) else repr(value)
