"""Every file of a finished store, damaged in every way: found, refused or mended, and never used in silence.

Each case works on a fresh copy of the store. What a run would do is done in this process: all is published,
so that it reuses everything, or refuses, and computes nothing.
"""

import contextlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lmexp import cli
from lmexp.analysis.report import report_at_end
from lmexp.core.graph.compose import Composition, compose
from lmexp.core.records.runs import list_runs
from lmexp.core.running import executor
from lmexp.core.running.session import plan_of, run_composition
from lmexp.core.store.store import Store
from lmexp.errors import LmexpError

SAMPLE = 30
MIRROR = ("wandb", "wandb-data", "wandb.log")
"""wandb's own files in a run's directory: no verb reads them."""
UNUSED = ("is nothing that lmexp wrote", "no stage's directory", "is no artifact", "is not used", "/leases/")
"""What verify says of files that nobody reads, and that a run leaves where they are."""
LOSABLE = ("report.html", "tracking.json", "invocations.jsonl", "wandb.log")
"""Files of a run's directory that nothing depends on; so are caches and the leases that nobody holds."""


def flip(place: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[min(int(len(data) * place), len(data) - 1)] ^= 1
        path.write_bytes(data)

    return damage


def cut(place: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * place)])

    return damage


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("x")


def edited(path: Path) -> None:
    """Change one digit of a number, as a hand would."""
    text = path.read_text()
    digits = [i for i, character in enumerate(text) if character.isdigit()]
    index = digits[len(digits) // 2]
    path.write_text(f"{text[:index]}{(int(text[index]) + 1) % 10}{text[index + 1 :]}")


def other_json(value: object) -> Callable[[Path], None]:
    return lambda path: path.write_text(json.dumps(value) + "\n")


def foreign(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text("[]\n")


ANY = {
    "a byte at the start": flip(0.0),
    "a byte in the middle": flip(0.5),
    "the last byte": flip(1.0),
    "emptied": cut(0.0),
    "cut": cut(0.6),
    "deleted": Path.unlink,
    "a directory": directory,
}
JSON = {
    "a digit": edited,
    "an empty object": other_json({}),
    "a list": other_json([1, {"a": 2}]),
    "null": other_json(None),
    "deep": other_json({"run": {"stages": {"x": [[[[1]]]]}}, "files": 3, "metrics": "none"}),
}


def cases(root: Path) -> Iterator[tuple[str, str, Callable[[Path], None]]]:
    """Yield (path, what is done, how) for a finished store."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if any(part in MIRROR for part in path.parts):
            continue
        if path.is_dir():
            for stray in ("stray.json", "train-00001.parquet", ".nfs0001"):
                yield name, f"a foreign {stray}", foreign(stray)
            continue
        has_digits = path.suffix == ".json" and any(map(str.isdigit, path.read_text()))
        kinds = ANY | (JSON if has_digits or path.suffix == ".jsonl" else {})
        for kind, damage in kinds.items():
            if path.stat().st_size or kind in ("deleted", "a directory"):
                yield name, kind, damage


@pytest.fixture(scope="module")
def broken(finished, small, tmp_path_factory) -> Iterator["Broken"]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "run_child", lambda *_a, **_k: pytest.fail("a stage was computed"))
        yield Broken(finished[0].root, tmp_path_factory.mktemp("damaged") / "store", small)


class Broken:
    """A copy of a finished store, made anew for each case."""

    def __init__(self, pristine: Path, root: Path, overrides: list[str]) -> None:
        self.pristine, self.root = pristine, root
        self.composition: Composition = compose([*overrides, "tracking.mode=off", f"store={root}"])
        self.renew()
        (run,) = list_runs(Store(root))
        self.metrics = run.metrics

    def renew(self) -> None:
        """Copy the store."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.pristine, self.root, symlinks=True)

    def said(self, capsys, *words: str) -> tuple[int, str]:
        code = cli.main([*words, f"store={self.root}"])
        out, err = capsys.readouterr()
        assert "Traceback" not in err, (words, err)
        assert code in (0, 1, 2), words
        assert len(err.strip().splitlines()) <= 1, (words, err)
        return code, out + err

    def check(self, name: str, kind: str, damage: Callable[[Path], None], capsys) -> str:
        """Damage one file and return what a run then does: reused, refused or mended."""
        self.renew()
        damage(self.root / name)
        found, words = self.said(capsys, "verify")
        is_losable = name.startswith(("cache/", "leases/")) or Path(name).name in LOSABLE
        # another count of a heartbeat that has ended says nothing else
        harmless = (kind == "deleted" and is_losable) or (name.endswith(".beat") and "byte" in kind)
        in_room = kind.startswith("a foreign") and name.split("/", maxsplit=1)[0] in ("scratch", "trash")
        if not harmless and not in_room:
            assert found != 0, "verify is content"
            named = (Path(name).name, "lmexp-store.json", f"there is no store at {self.root}")
            assert any(text in words for text in named), words
        for verb in (("show", "last"), ("show", "last", "--json"), ("ls",), ("gc",), ("report",)):
            code, text = self.said(capsys, *verb)
            if verb[-1] == "--json" and code == 0:
                assert json.loads(text)["metrics"] == self.metrics, "another number is shown"
        with contextlib.suppress(LmexpError):
            plan_of(self.composition, Store(self.root)).verdicts(Store(self.root))
        return self.run(capsys, found)

    def run(self, capsys, found: int) -> str:
        try:
            done = run_composition(self.composition, quiet=True, at_end=report_at_end)
        except LmexpError as error:
            sentence = str(error)
            assert any(remedy in sentence for remedy in ("force=[", "store=", "write it anew")), sentence
            return "refused"
        finally:
            capsys.readouterr()
        assert done.run.metrics == self.metrics
        assert {entry["action"] for entry in done.run.stages.values()} == {"reused"}
        code, words = self.said(capsys, "verify")
        if found == 0:
            return "reused"
        return "mended" if code == 0 else f"still named: {words}"


def checked(broken: Broken, capsys, chosen) -> dict[str, int]:
    counts: dict[str, int] = {}
    wrong = []
    for name, kind, damage in chosen:
        try:
            outcome = broken.check(name, kind, damage, capsys)
        except Exception as error:  # all of them are wanted, not the first
            wrong.append(f"{name}: {kind}: {type(error).__name__}: {error}")
            continue
        counts[outcome.partition(":")[0]] = counts.get(outcome.partition(":")[0], 0) + 1
        still = [line for line in outcome.splitlines() if not any(words in line for words in UNUSED)]
        if outcome.startswith("still") and still:
            wrong.append(f"{name}: {kind}: {still}")
    assert not wrong, "\n".join([f"{len(wrong)} of {len(chosen)}", *wrong])
    return counts


def test_a_damaged_store_is_found_refused_or_mended_and_never_used_in_silence(broken, capsys):
    every = list(cases(broken.pristine))
    chosen = random.Random(1).sample(every, SAMPLE)
    counts = checked(broken, capsys, chosen)
    assert counts["refused"] > 0


@pytest.mark.slow
def test_every_file_of_a_store_damaged_in_every_way(broken, capsys):
    every = list(cases(broken.pristine))
    assert len(every) >= 600
    counts = checked(broken, capsys, every)
    with capsys.disabled():
        print(f"\n{len(every)} cases: {counts}")
