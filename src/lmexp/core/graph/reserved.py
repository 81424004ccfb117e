"""Shipped names are reserved: the one rule for configurations and pipelines.

What lmexp ships is used by its name, whatever directory a command is given in. A user's own file is used
by a name of its own, or by its path. Where a name that a command uses stands for a file of each, neither
is taken silently: that is an error which shows both.
"""

from pathlib import Path

from lmexp.core.provenance.own import shipped
from lmexp.errors import ConfigError, nearest


def own_pipelines() -> dict[str, Path]:
    """Return the user's pipelines by name: the Python files in `pipelines/` of the current directory."""
    folder = Path.cwd() / "pipelines"
    is_shipped = folder.resolve() == shipped("pipelines").resolve()
    return {} if is_shipped else {path.stem: path for path in folder.glob("*.py")}


def find_pipeline(name: str) -> Path:
    """Return the file of a pipeline, given its name or its path.

    Errors: `ConfigError` with the nearest name; with both paths for a name that is shipped and the user's.
    """
    if name.endswith(".py"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise ConfigError(f"pipeline={name}: there is no file {path.absolute()}.")
        return path.absolute()
    found = named_pipeline(name)
    if found is None:
        known = [*(path.stem for path in shipped("pipelines").glob("*.py")), *own_pipelines()]
        raise ConfigError(f"there is no pipeline {name!r}{nearest(name, known)}; give a name or a .py file.")
    return found


def named_pipeline(name: str) -> Path | None:
    """Return the file of the pipeline with this name, or None. Errors: `ConfigError` for a name of two."""
    own, ours = own_pipelines().get(name), shipped("pipelines") / f"{name}.py"
    if not ours.is_file():
        return own
    if own is not None:
        raise _collision(f"the pipeline {name!r}", ours, own)
    return ours


def colliding_configs(own: Path) -> dict[str, Path]:
    """Return the user's configuration files that have a shipped one's place, by ``group/name``."""
    ours = shipped("conf")
    places = (path.relative_to(own) for path in own.rglob("*.yaml"))
    return {place.with_suffix("").as_posix(): own / place for place in places if (ours / place).exists()}


def refuse_collision(config: str, own: Path) -> None:
    """Raise `ConfigError` for a configuration that is shipped and the user's own."""
    raise _collision(f"the configuration {config!r}", shipped("conf") / f"{config}.yaml", own)


def _collision(what: str, ours: Path, own: Path) -> ConfigError:
    return ConfigError(
        f"{what} is a name that lmexp ships ({ours}), and {own} has it too; rename your own file and use it "
        f"by that name."
    )
