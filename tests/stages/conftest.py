"""The servers of the corpus's tests, for stages that read from them."""

from tests.corpus.conftest import hub, web

__all__ = ["hub", "web"]
