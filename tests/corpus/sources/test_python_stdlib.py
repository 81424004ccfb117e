"""The standard library as a source: which of its files, and one hash that follows them all."""

import hashlib
import sysconfig
from pathlib import Path

from lmexp.core.values.files import FileHasher, sha256_file
from lmexp.corpus.config import CorpusConfig
from lmexp.corpus.sources.python_stdlib import python_stdlib_files
from lmexp.corpus.sources.sources import content_hashes


def test_the_standard_library_is_its_own_source_without_tests_and_tables():
    files = python_stdlib_files()
    root = Path(sysconfig.get_path("stdlib"))
    names = [path.relative_to(root).as_posix() for path in files]
    assert {"json/decoder.py", "ast.py", "encodings/utf_8.py", "turtledemo/clock.py"} <= set(names)
    unwanted = {"encodings/cp1252.py", "test/support/__init__.py"}
    assert not unwanted & set(names)
    assert not any({"site-packages", "tests", "idle_test", "__pycache__"} & set(n.split("/")) for n in names)
    assert names == sorted(names, key=lambda name: name.split("/"))
    assert 8e6 < sum(path.stat().st_size for path in files) < 16e6


def test_the_standard_library_has_one_hash_that_follows_every_file():
    files = python_stdlib_files()
    root = Path(sysconfig.get_path("stdlib"))
    plain = content_hashes(CorpusConfig(), FileHasher())
    expected = hashlib.sha256()
    for path in files:
        expected.update(f"{path.relative_to(root).as_posix()}\0{sha256_file(path)}\n".encode())
    assert plain == {"python_stdlib": expected.hexdigest()}

    class Altered(FileHasher):
        def __call__(self, path):
            return super().__call__(path) + "x" * (path == files[-1])

    altered = content_hashes(CorpusConfig(), Altered())
    assert altered != plain
