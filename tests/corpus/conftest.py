"""A web server for one test."""

import pytest

from tests.corpus.web import Web


@pytest.fixture
def web():
    server = Web()
    yield server
    server.close()
