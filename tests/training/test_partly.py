"""A package that is imported partly becomes the whole package as soon as more of it is asked for."""

import importlib
import subprocess
import sys

import pytest

from lmexp.training.partly import import_partly

FILES = {
    "__init__.py": """
import logging
_logger = logging.getLogger("heavy")
from heavy.metric import Metric
from heavy.rest import Accuracy
__all__ = ["Accuracy", "Metric"]
""",
    "metric.py": "from heavy import _logger\nclass Metric: ...\n",
    "rest.py": "from heavy.metric import Metric\nclass Accuracy(Metric): ...\n",
}


@pytest.fixture
def heavy(tmp_path, monkeypatch):
    """Write the package `heavy`, and forget it afterwards."""
    (tmp_path / "heavy").mkdir()
    for name, text in FILES.items():
        (tmp_path / "heavy" / name).write_text(text)
    (tmp_path / "heavy-1.5.dist-info").mkdir()
    (tmp_path / "heavy-1.5.dist-info" / "METADATA").write_text("Name: heavy\nVersion: 1.5\n")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield tmp_path / "heavy"
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.partition(".")[0] == "heavy"]:
        del sys.modules[name]


def test_only_what_was_named_is_imported(heavy):
    import_partly("heavy", {"Metric": "metric"})
    package = importlib.import_module("heavy")
    assert package.Metric is sys.modules["heavy.metric"].Metric
    assert package.__version__ == "1.5"
    assert not hasattr(package, "__wrapped__")
    assert "heavy.rest" not in sys.modules


@pytest.mark.parametrize("ask", [dir, lambda package: package.Accuracy, lambda package: package.__all__])
def test_any_other_name_brings_the_whole_package(heavy, ask):
    import_partly("heavy", {"Metric": "metric"})
    package = importlib.import_module("heavy")
    known = package.Metric
    ask(package)
    assert package.Metric is known
    assert issubclass(package.Accuracy, known)
    assert package.__all__ == ["Accuracy", "Metric"]
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing


@pytest.mark.parametrize("names", [{"Metric": "moved"}, {"Metric": "metric", "Moved": "metric"}])
def test_a_package_that_is_laid_out_otherwise_is_imported_whole(heavy, names):
    import_partly("heavy", names)
    package = importlib.import_module("heavy")
    assert "__getattr__" not in vars(package)
    assert package.__all__ == ["Accuracy", "Metric"]
    assert sys.modules["heavy.metric"].Metric is package.Metric


def test_a_package_without_a_version_is_imported_whole(heavy):
    (heavy.parent / "heavy-1.5.dist-info" / "METADATA").unlink()
    (heavy.parent / "heavy-1.5.dist-info").rmdir()
    import_partly("heavy", {"Metric": "metric"})
    assert importlib.import_module("heavy").__all__ == ["Accuracy", "Metric"]


def test_a_package_that_was_there_before_stays_as_it_is(heavy):
    package, finders = importlib.import_module("heavy"), list(sys.meta_path)
    import_partly("heavy", {"Metric": "metric"})
    assert sys.meta_path == finders
    assert importlib.import_module("heavy") is package


def test_a_process_that_trains_imports_two_classes_of_torchmetrics_and_may_have_the_rest():
    script = """
import sys, lmexp.training.pretrain, torchmetrics
assert "torchmetrics.functional" not in sys.modules
assert "transformers" not in sys.modules
known = torchmetrics.Metric
from torchmetrics import Accuracy
assert issubclass(Accuracy, known) and torchmetrics.Metric is known
assert torchmetrics.functional.accuracy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
