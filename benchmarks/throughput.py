"""From raw text to packed tokens: MB per CPU second and peak memory of each stage.

The corpus, tokenizer and packing stages run one after the other, each in a process of its own with one
thread, on text that a seeded generator writes (or on real text, `--text GLOB`). Beside them runs a bare
loop over `tokenizers.encode_batch` with the same tokenizer and text. A stage's CPU seconds are those of
its whole process, the imports included; the loop's are its own.

    python benchmarks/throughput.py --bytes 2e9
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SHARD_BYTES = 100_000_000
LOOP_BYTES = 10_000_000
STAGES = ("corpus", "tokenizer", "packing")


def main() -> None:
    """Print one line for the loop and for each stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=float, default=2e8, help="bytes of text to generate (2e8)")
    parser.add_argument("--text", help="glob of files with real text instead (as corpus.files)")
    parser.add_argument("--vocab-size", type=int, default=32_768, help="tokenizer.vocab_size (32768)")
    parser.add_argument("--train-bytes", type=float, default=2e8, help="tokenizer.train_bytes (2e8)")
    parser.add_argument("--mode", default="concatenate", help="packing.mode, at 1024 tokens a row")
    parser.add_argument("--folder", help="where to write (a temporary directory)")
    parser.add_argument("--child", choices=("generate", *STAGES, "loop"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        print(json.dumps(CHILDREN[arguments.child](arguments, Path(arguments.folder))))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.text is None:
            run_child("generate", folder)
        figures = {name: run_child(name, folder) for name in (*STAGES, "loop")}
    loop = figures["loop"]["megabytes"] / figures["loop"]["cpu_seconds"]
    print(f"{'':24}{'MB':>8}{'CPU s':>8}{'MB/CPU s':>10}{'ratio':>8}{'peak MiB':>10}")
    for name, found in figures.items():
        rate = found["megabytes"] / found["cpu_seconds"]
        label = "tokenizers.encode_batch" if name == "loop" else name
        print(
            f"{label:24}{found['megabytes']:8.0f}{found['cpu_seconds']:8.1f}{rate:10.1f}{rate / loop:8.1f}"
            f"{found['peak_mib']:10.0f}  {found['note']}"
        )


def run_child(name: str, folder: str) -> dict[str, Any]:
    """Run one part of this script in a process of its own; return what it printed and what it took."""
    threads = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "MKL_NUM_THREADS")
    command = [sys.executable, __file__, *sys.argv[1:], "--child", name, "--folder", folder]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, **dict.fromkeys(threads, "1")}
    )
    printed = process.stdout.read()  # type: ignore[union-attr]
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{name} failed with exit code {process.returncode}.")
    took = {"cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / 1024}
    return {**took, **json.loads(printed.splitlines()[-1])}


def generate(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Write JSON Lines of English-like documents: Zipf's law over 200,000 words, sentences, paragraphs."""
    import numpy as np

    generator = np.random.default_rng(0)
    words = _words(generator, 200_000)
    words = [*words, *(word.capitalize() for word in words)]
    ends = [" ", ", ", "; ", "'s ", ". ", "? ", ".\\n\\n", '."}\n{"text": "']
    table = np.frombuffer("".join([*words, *ends]).encode(), dtype=np.uint8)
    sizes = np.array([len(piece.encode()) for piece in (*words, *ends)])
    starts = np.cumsum(sizes) - sizes
    frequencies = 1 / (np.arange(len(words) // 2) + 2.7) ** 1.07
    steps = np.cumsum(frequencies) / frequencies.sum()
    likelihoods = [0.84, 0.07, 0.005, 0.005, 0.055, 0.005, 0.0172, 0.0028]
    left, number = int(arguments.bytes), 0
    while left > 0:
        written = 0
        with (folder / f"text-{number:05d}.jsonl").open("wb") as file:
            file.write(b'{"text": "')
            while written < min(left, SHARD_BYTES):
                chosen = np.searchsorted(steps, generator.random(200_000))
                end = generator.choice(len(ends), len(chosen), p=likelihoods)
                chosen[1:] += (end[:-1] >= 4) * (len(words) // 2)
                pieces = np.stack([chosen, len(words) + end], axis=1).ravel()
                lengths = sizes[pieces]
                offsets = np.repeat(starts[pieces] - np.cumsum(lengths) + lengths, lengths)
                data = table[offsets + np.arange(int(lengths.sum()))].tobytes()
                file.write(data)
                written += len(data)
            file.write(b'end."}\n')
        left -= written
        number += 1
    return {}


def _words(generator: Any, count: int) -> list[str]:
    """Return invented words, the frequent ones short; one in a hundred has an accent."""
    onsets = [*"bcdfghjklmnprstvwz", "br", "ch", "cl", "dr", "gr", "pl", "pr", "sh", "sp", "st", "th", "tr"]
    vowels = [*"aeiouaeiou", "ai", "ea", "ee", "io", "oo", "ou", "é"]
    codas = ["", "", "", "n", "r", "s", "t", "l", "nd", "ng", "st", "ck", "m"]
    found: dict[str, None] = {}
    while len(found) < count:
        syllables = 1 + int(generator.poisson(min(2.5, 0.35 * len(str(len(found))) - 0.3)))
        chosen = generator.integers(0, 2**30, (syllables, 3)).tolist()
        word = "".join(
            onsets[a % len(onsets)] + vowels[b % len(vowels)] + codas[c % len(codas)] for a, b, c in chosen
        )
        found[word] = None
    return list(found)


def corpus(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the corpus stage."""
    from lmexp import stages
    from lmexp.core.values.config import build
    from lmexp.corpus.config import CorpusConfig

    files = arguments.text or str(folder / "text-*.jsonl")
    metrics = stages.corpus.function(_stage_run(folder / "corpus"), build(CorpusConfig, {"files": [files]}))
    return {"megabytes": metrics["bytes"] / 1e6, "note": f"{metrics['documents']:,} documents"}


def tokenizer(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the tokenizer stage."""
    from lmexp import stages
    from lmexp.stages.corpus import CorpusArtifact
    from lmexp.tokenizer.config import ByteBPEConfig

    config = ByteBPEConfig(vocab_size=arguments.vocab_size, train_bytes=int(arguments.train_bytes))
    inputs = CorpusArtifact(folder / "corpus")
    metrics = stages.tokenizer.function(_stage_run(folder / "tokenizer"), config, corpus=inputs)
    trained_by = json.loads((folder / "tokenizer" / "report.json").read_text())["train"]["trained_by"]
    read = metrics["train/bytes"] + inputs.num_bytes("validation")
    return {"megabytes": read / 1e6, "note": f"trained by {trained_by}, {metrics['vocab_size']:,} ids"}


def packing(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the packing stage."""
    from lmexp import stages
    from lmexp.packing.config import PackingConfig
    from lmexp.stages.corpus import CorpusArtifact
    from lmexp.stages.tokenizer import TokenizerArtifact

    config = PackingConfig(
        mode=arguments.mode, context_length=None if arguments.mode == "concatenate" else 1024
    )
    metrics = stages.packing.function(
        _stage_run(folder / "packing"),
        config,
        corpus=CorpusArtifact(folder / "corpus"),
        tokenizer=TokenizerArtifact(folder / "tokenizer"),
    )
    record = json.loads((folder / "packing" / "encoder.json").read_text())
    megabytes = sum(metrics[f"{split}/bytes"] for split in ("train", "validation", "test")) / 1e6
    return {"megabytes": megabytes, "note": f"encoded by {record['encoder']} {record['version']}"}


def loop(_: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Encode the first 10 MB with `tokenizers` alone and measure the calls themselves."""
    from tokenizers import Tokenizer

    from lmexp.stages.corpus import CorpusArtifact

    backend = Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
    num_bytes, cpu_seconds = 0, 0.0
    for batch in CorpusArtifact(folder / "corpus").text_batches("train"):
        texts = batch.to_pylist()
        for i in range(0, len(texts), 256):
            begin = time.process_time()
            backend.encode_batch(texts[i : i + 256])
            cpu_seconds += time.process_time() - begin
        num_bytes += sum(len(text.encode()) for text in texts)
        if num_bytes > LOOP_BYTES:
            break
    return {"megabytes": num_bytes / 1e6, "cpu_seconds": cpu_seconds, "note": "256 texts a call"}


def _stage_run(out: Path) -> Any:
    from lmexp.core.graph.stage import StageRun

    out.mkdir()
    return StageRun(
        out=out, work=out, log=lambda _: None, should_stop=lambda: False, cache=out.parent / "cache"
    )


CHILDREN = {"generate": generate, "corpus": corpus, "tokenizer": tokenizer, "packing": packing, "loop": loop}

if __name__ == "__main__":
    main()
