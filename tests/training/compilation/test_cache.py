"""What is compiled is private until it is whole, and then everybody's."""

import os
from pathlib import Path

import pytest

from lmexp.training.compilation import cache as compile_cache
from lmexp.training.compilation.cache import CompileCache, cache_key
from tests.training.pretrain_runs import tiny


def cache(folder: Path, process: str) -> CompileCache:
    return CompileCache(tiny(), device="cpu", cache=folder / "cache", private=folder / process)


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_is_published_seeds_the_next_and_nothing_before_that_does(tmp_path):
    first, second = cache(tmp_path, "first"), cache(tmp_path, "second")
    first.seed()
    kernels = tmp_path / "first" / "kernels"
    (kernels / "ab").mkdir()
    (kernels / "ab" / "kernel.so").write_text("half")
    second.seed()
    assert contents(tmp_path / "second") == {}
    (kernels / "ab" / "kernel.so").write_text("whole")
    (kernels / "locks").mkdir()
    (kernels / "locks" / "kernel.lock").touch()
    first.publish()
    second.seed()
    assert contents(tmp_path / "second") == {"kernels/ab/kernel.so": "whole"}


def test_a_name_that_is_taken_keeps_its_file(tmp_path):
    first, second = cache(tmp_path, "first"), cache(tmp_path, "second")
    first.seed()
    second.seed()
    for name, text in (("first", "of the first"), ("second", "of the second")):
        (tmp_path / name / "headers" / "same.h").write_text(text)
    first.publish()
    second.publish()
    assert contents(tmp_path / "cache" / "compiled") == {"headers/same.h": "of the first"}


@pytest.mark.parametrize("error", [OSError, PermissionError])
def test_a_disk_without_links_gets_copies(tmp_path, monkeypatch, error):
    def link(*_):
        raise error

    monkeypatch.setattr(compile_cache.os, "link", link)
    first, second = cache(tmp_path, "first"), cache(tmp_path, "second")
    first.seed()
    (tmp_path / "first" / "kernels" / "kernel.so").write_text("whole")
    first.publish()
    second.seed()
    assert contents(tmp_path / "second") == {"kernels/kernel.so": "whole"}


def test_inductor_writes_below_the_private_directory_and_only_meanwhile(tmp_path, monkeypatch):
    from torch._inductor import codecache
    from torch._inductor.runtime.cache_dir_utils import cache_dir, triton_cache_dir

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    headers = codecache._HEADER_DIR
    with cache(tmp_path, "mine").used():
        for folder in (cache_dir(), triton_cache_dir(0), codecache._HEADER_DIR, codecache._HEADER_LOCK_DIR):
            assert Path(folder).is_relative_to(tmp_path / "mine")
    assert cache_dir() == str(tmp_path / "elsewhere")
    assert headers == codecache._HEADER_DIR
    assert "TRITON_CACHE_DIR" not in os.environ


def test_the_key_tells_apart_what_is_compiled_apart():
    changed = [
        {},
        {"trainer.precision": "32-true"},
        {"micro_batch_size": 4},
        {"document_masking": True},
        {"model.num_layers": 3},
    ]
    keys = [cache_key(tiny(**changes), device="cpu") for changes in changed]
    assert len({*keys, cache_key(tiny(), device="cuda")}) == len(changed) + 1
    assert cache_key(tiny(**{"trainer.max_steps": 99, "seed": 3}), device="cpu") == keys[0]
