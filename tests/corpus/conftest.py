"""Servers for one test: of files, and of datasets."""

import pytest

from tests.corpus.sources.hub import Hub
from tests.corpus.sources.web import Web


@pytest.fixture
def web():
    server = Web()
    yield server
    server.close()


@pytest.fixture
def hub(monkeypatch):
    server = Hub()
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for name in ("HF_HOME", "HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.close()
