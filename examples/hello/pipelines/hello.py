"""A pipeline of two stages: a text becomes words, and the words are counted.

Give the command twice: the second time nothing is computed. Change `count.top`, and only the second
stage is computed again; `lmexp why --config-name hello count.top=2` says so beforehand.
"""

import json
from collections import Counter

from lmexp.core.graph.stage import Artifact, Handle, Metrics, StageRun, stage
from lmexp.core.values.config import Config, option
from lmexp.core.values.settings import RunConfig


class WordsConfig(Config):
    """Where the words come from."""

    text: str = option(default="")
    """The text."""


class CountConfig(Config):
    """How words are counted."""

    top: int = option(default=3, ge=1)
    """How many of the most frequent words are kept."""


class HelloExperiment(RunConfig):
    """The keys of this pipeline."""

    words: WordsConfig = option(default=WordsConfig())
    count: CountConfig = option(default=CountConfig())


class Words(Artifact):
    """A list of words."""

    def load(self) -> list[str]:
        """Return the words in order."""
        return json.loads((self.path / "words.json").read_text())


@stage("words", produces=Words)
def words(run: StageRun, config: WordsConfig) -> Metrics:
    """Split the text at white space."""
    found = config.text.split()
    (run.out / "words.json").write_text(json.dumps(found))
    return {"words": len(found)}


@stage("count", produces=Artifact)
def count(run: StageRun, config: CountConfig, *, words: Words) -> Metrics:
    """Count the words and keep the most frequent."""
    top = Counter(words.load()).most_common(config.top)
    (run.out / "top.json").write_text(json.dumps(top))
    return dict(top)


def pipeline(config: HelloExperiment) -> dict[str, Handle]:
    """Return the stages by name; nothing runs here."""
    found = words(config.words)
    return {"words": found, "count": count(config.count, words=found)}
