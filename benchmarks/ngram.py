"""What a 5-gram with modified Kneser-Ney costs in time and memory, beside KenLM's lmplz.

    python benchmarks/ngram.py TRAIN.txt --lmplz PATH/lmplz

TRAIN.txt has one sentence a line and its words between spaces, without <s>, </s> and <unk>. A 4-gram of it
draws a text of --megabytes. Then, each in a process of its own, whose CPU seconds (user and system, of all
threads) and peak memory the kernel counts:

    lmplz    reads the text and writes an ARPA file to nowhere (-S 2G, temporary files in --folder)
    lmexp    reads the text, numbers its words, counts and smooths them, and saves the model
    score    reads the saved model and scores a tenth of the text, sentence by sentence

The ratios at the end are lmexp's over lmplz's. Nothing else should run beside it.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray

from lmexp.models.families.ngram import NGramConfig
from lmexp.models.families.ngram.folder import load, save
from lmexp.models.families.ngram.grams import find
from lmexp.models.families.ngram.model import NGram

END = 0
ROWS, LONGEST = 8192, 200
"""Sentences that are drawn at once, and the most words of one."""


def main() -> None:
    """Draw the text where it is not there, run all of it and print what it costs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path)
    parser.add_argument("--lmplz", type=Path, help="left out without it")
    parser.add_argument("--folder", type=Path, default=Path("outputs/benchmark-ngram"))
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--only", choices=("fit", "score"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    text, saved = given.folder / f"text-{given.megabytes}.txt", given.folder / "model"
    if given.only == "fit":
        fit(text, given.order, saved)
    elif given.only == "score":
        score(text, saved)
    else:
        if not text.exists():
            draw(given.train, text, given.megabytes * 10**6)
        compare(given, text)


def compare(given: argparse.Namespace, text: Path) -> None:
    """Run each in a process of its own, and print a line for each and the ratios."""
    theirs = None
    if given.lmplz:
        command = [str(given.lmplz), "-o", str(given.order), "-S", "2G", "-T", str(given.folder)]
        command += ["--discount_fallback"]  # a drawn text has no rare words, and lmexp's are fixed there, too
        with text.open("rb") as lines:
            theirs = measured("lmplz", command, stdin=lines, stdout=subprocess.DEVNULL)
    ours = measured("lmexp", [sys.executable, *sys.argv, "--only", "fit"])
    measured("score", [sys.executable, *sys.argv, "--only", "score"])
    if theirs is not None:
        print(f"lmexp / lmplz: CPU {ours[0] / theirs[0]:.2f}, peak memory {ours[1] / theirs[1]:.2f}")


def measured(name: str, command: list[str], **files: Any) -> tuple[float, float]:
    """Run a command and return its CPU seconds and its peak memory in GB, which are printed."""
    begin = time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, stderr=said, **files)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if child.returncode:
            raise SystemExit(f"{name} ended with {child.returncode}: {said.read().decode()[-2000:]}")
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9
    print(f"{name}: {cpu:.1f} CPU s, {time.monotonic() - begin:.1f} s, peak {peak:.2f} GB", flush=True)
    return cpu, peak


def numbered(text: Path, words: dict[str, int]) -> Iterator[NDArray[np.int32]]:
    """Yield the ids of many sentences at a time, each behind END; new words get the next numbers."""
    number = words.setdefault
    with text.open(encoding="utf-8") as file:
        while lines := file.readlines(2**22):
            ids = []
            for line in lines:
                ids.append(END)
                ids += [number(word, len(words)) for word in line.split()]
            yield np.array(ids, dtype=np.int32)


def fit(text: Path, order: int, saved: Path) -> None:
    """Number, count, smooth and save, and print where the time went."""
    words = {"</s>": END, "<unk>": 1}
    times = [time.process_time()]
    ids = list(numbered(text, words))
    times.append(time.process_time())
    config = NGramConfig(order=order, smoothing="modified_kneser_ney")
    with tempfile.TemporaryDirectory(dir=saved.parent) as folder:
        model = NGram.fit(config, ids, len(words), END, Path(folder))
        times.append(time.process_time())
        save(model, saved)
        times.append(time.process_time())
    tokens, grams = sum(map(len, ids)), sum(map(len, model.keys))
    print(f"  {tokens:,} words and ends, {len(words):,} different, {grams:,} n-grams")
    print("  CPU s: numbering {:.1f}, fitting {:.1f}, saving {:.1f}".format(*np.diff(times)))


def score(text: Path, saved: Path) -> None:
    """Score a tenth of the sentences, and print how fast."""
    model, words = load(saved), {"</s>": END, "<unk>": 1}
    ids = np.concatenate(list(numbered(text, words)))
    ends = np.flatnonzero(ids[: len(ids) // 10] == END)
    pairs = [((), np.append(ids[a + 1 : b], END)) for a, b in itertools.pairwise(ends)]
    begin = time.process_time()
    scores = model.score(pairs, END)
    seconds = time.process_time() - begin
    tokens, nats = sum(map(len, scores)), -sum(float(each.sum()) for each in scores)
    print(f"  {tokens / seconds / 1e6:.2f} million tokens a CPU s, perplexity {np.exp(nats / tokens):.4f}")


def draw(train: Path, text: Path, size: int) -> None:
    """Write sentences that a 4-gram of `train` draws, at least `size` bytes of them."""
    words = {"</s>": END}
    parts = list(numbered(train, words))
    model = NGram.fit(NGramConfig(order=4, smoothing="modified_kneser_ney"), parts, len(words), END)
    names, rng = list(words), np.random.default_rng(0)
    sums = [np.cumsum(order.own) for order in model.smoothed.orders]
    written, part = 0, text.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        while written < size:
            ids = np.full((ROWS, model.order - 1), -1)
            ids[:, -1] = END
            columns = []
            for _ in range(LONGEST):
                columns.append(drawn(model, sums, ids, rng))
                ids = np.column_stack((ids[:, 1:], columns[-1]))
            columns.append(np.full(ROWS, END))
            rows = np.column_stack(columns)
            for row, end in zip(rows.tolist(), np.argmax(rows == END, axis=1).tolist(), strict=True):
                if end:
                    written += len((" ".join([names[i] for i in row[:end]]) + "\n").encode())
                    file.write(" ".join([names[i] for i in row[:end]]) + "\n")
    part.rename(text)


def drawn(
    model: NGram, sums: list[NDArray[np.float64]], contexts: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return a token after each context: from the highest order whose own part is drawn, [N].

    `sums` are those of each order's own parts up to each n-gram.
    """
    tokens, is_open = np.full(len(contexts), END), np.ones(len(contexts), dtype=bool)
    for n in range(model.order, 1, -1):
        keys, order = model.keys[n - 2], model.smoothed.orders[n - 2]
        ids = contexts[:, contexts.shape[1] - n + 1]
        for below, column in zip(model.keys, contexts[:, contexts.shape[1] - n + 2 :].T, strict=False):
            ids = find(below, ids, column, model.vocab_size)
        stays = np.flatnonzero(is_open & (rng.random(len(ids)) >= order.left_over[ids]))
        begins = np.searchsorted(keys, ids[stays] * model.vocab_size)
        ends = np.searchsorted(keys, (ids[stays] + 1) * model.vocab_size)
        before = np.where(begins > 0, sums[n - 2][begins - 1], 0)
        wanted = before + rng.random(len(stays)) * (sums[n - 2][ends - 1] - before)
        places = np.clip(np.searchsorted(sums[n - 2], wanted, side="right"), begins, ends - 1)
        tokens[stays] = keys[places] % model.vocab_size
        is_open[stays] = False
    left = np.flatnonzero(is_open)
    uniform = rng.random(len(left)) * model.smoothed.unigram.sum()
    tokens[left] = np.searchsorted(np.cumsum(model.smoothed.unigram), uniform, side="right")
    return np.minimum(tokens, model.vocab_size - 1)


if __name__ == "__main__":
    main()
