"""The primer as a source: short documents in simple English and symbols, most of which teach by example.

A document is either a story or one lesson of `lmexp.primer`: a hidden rule is drawn, and every line is
an example of it. The rule shows in nothing but the examples, so that a model predicts the answers of
the later lines well only by inferring it from the earlier ones. Nothing of the parts `test` and `shots`
(see `lmexp.primer.words`) occurs in any document, whatever the seed: the split of the corpus into
training, validation and test documents is another matter.

Document i is a pure function of the seed and i. It needs no file and no network.
"""

import random
from collections.abc import Iterator

from lmexp.core.values.files import FileHasher
from lmexp.corpus.config import PrimerSource
from lmexp.corpus.documents import Document, SourceContext
from lmexp.primer.lessons import LESSONS
from lmexp.primer.stories import story

STORY = "story"


def content(_source: PrimerSource, _hasher: FileHasher) -> dict[str, str]:
    """Return nothing: the configuration says it all."""
    return {}


def documents(source: PrimerSource, _context: SourceContext) -> Iterator[Document]:
    """Yield `num_documents` documents; the metadata name the lesson and its rule."""
    shares = source.shares
    for i in range(source.num_documents):
        rng = random.Random(f"{source.seed}-{i}")  # noqa: S311 (reproducible, not secret)
        [kind] = rng.choices(list(shares), list(shares.values()))
        metadata = {"source": PrimerSource.KIND, "lesson": kind}
        if kind == STORY:
            yield Document(story(rng), str(i), metadata)
            continue
        lesson = LESSONS[kind]
        rule = rng.choice(lesson.rules)
        lines = [lesson.example(rule, "train", rng).line for _ in range(rng.randint(*lesson.lengths))]
        yield Document("".join(lines), str(i), metadata | {"rule": rule})
