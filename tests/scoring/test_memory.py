"""Memory of scoring and of choosing tokens, as the kernel counts it in a process of its own."""

import json
import subprocess
import sys

import pytest

from lmexp.scoring.network import LOGITS_BYTES

MIB = 2**20
SLACK = 24 * MIB
"""What a pass takes beyond its logits: activations, threads' stacks, code that is read at its first use."""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads Linux's /proc")

SCRIPT = """
import json, numpy as np, torch
torch.set_num_threads(1)
from lmexp.generation.config import SamplingConfig
from lmexp.generation.generate import _chooser
from lmexp.models.build import build_model
from lmexp.models.families import GPTConfig
from lmexp.scoring import batches, network
from lmexp.scoring.scorer import scorer_of

def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))

def peak(work):
    work(1)
    open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew from what is held now
    before = status("VmRSS")
    work(16)
    return status("VmHWM") - before

found, logits = {}, torch.randn(64, 50_000)
for temperature in (0.0, 1.0):
    choose = _chooser(SamplingConfig(temperature=temperature, top_p=0.9), range(64), 50_000)
    found[f"temperature {temperature}"] = peak(lambda n: choose(logits[: 4 * n], range(4 * n)))
batches.CPU_TOKENS = 2**20  # so that a batch has more logits than the bound holds
shape = GPTConfig(context_length=256, num_layers=1, num_heads=1, num_kv_heads=1, d_model=16)
scorer = scorer_of(build_model(shape, 50_000, seed=0), batch_size=16, bos_token_id=0)
ids = np.random.default_rng(0).integers(1, 50_000, (16, 257)).tolist()
score = lambda n: scorer.score([((), row) for row in ids[:n]])
found["fp32"] = peak(score)
with torch.autocast("cpu", dtype=torch.bfloat16):
    found["bf16"] = peak(score)
network.LOGITS_BYTES *= 4
found["wider"] = peak(score)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def peaks():
    command = [sys.executable, "-c", SCRIPT]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_logits_of_a_large_vocabulary_stay_within_their_bound(peaks, precision):
    whole = 16 * 256 * 50_000 * 4
    assert whole > 3 * LOGITS_BYTES
    assert peaks[precision] < LOGITS_BYTES + SLACK


def test_a_wider_bound_is_used(peaks):
    assert peaks["wider"] > LOGITS_BYTES + SLACK


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_choosing_tokens_takes_no_copy_of_the_logits_of_a_batch(peaks, temperature):
    copy = 64 * 50_000 * 8
    assert copy > 24 * MIB
    assert peaks[f"temperature {temperature}"] < copy / 2
