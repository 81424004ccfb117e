"""The environment of a stage's process: what a library reads is chosen, recorded or dropped."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.core.graph.loading import load_file
from lmexp.core.graph.plan import make_plan
from lmexp.core.running.executor import execute
from lmexp.core.running.replay import replay
from lmexp.core.values.files import read_json
from lmexp.core.values.settings import ExecutorConfig
from lmexp.core.values.variables import (
    KERNELS,
    PASSED,
    PLACES,
    SET,
    THREADS,
    child_environment,
    is_passed,
    recorded,
    refuse_own,
)
from lmexp.errors import ConfigError

from ..conftest import Silent

READ = Path(__file__).with_name("library_variables.txt")
"""Every variable that the libraries of a stage read, one a line."""

_CHANGES_RESULTS = """
PL_TRAINER_LIMIT_TRAIN_BATCHES PL_TRAINER_MAX_TIME PL_GLOBAL_SEED LT_DEVICES NVIDIA_TF32_OVERRIDE
TORCH_ALLOW_TF32_CUBLAS_OVERRIDE ONEDNN_DEFAULT_FPMATH_MODE DNNL_DEFAULT_FPMATH_MODE PYTHONOPTIMIZE
PYTHONHASHSEED PYTHONSTARTUP PYTHONWARNINGS PYTHONIOENCODING PYTHONINSPECT TORCHDYNAMO_DISABLE PYTORCH_JIT
TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD TORCH_DEVICE_BACKEND_AUTOLOAD TORCHINDUCTOR_EMULATE_PRECISION_CASTS
HF_DATASETS_CACHE HF_HUB_CACHE HF_DATASETS_OFFLINE HF_DATASETS_IN_MEMORY_MAX_SIZE
HF_DATASETS_TRUST_REMOTE_CODE TRANSFORMERS_OFFLINE FSSPEC_CONFIG_DIR FSSPEC_HTTP_BLOCK_SIZE TOKENIZERS_LOG
ARROW_PRE_0_15_IPC_FORMAT NPY_PROMOTION_STATE XLA_USE_BF16 USE_TORCH RANK WORLD_SIZE LOCAL_RANK MASTER_ADDR
TORCHELASTIC_RUN_ID SLURM_NTASKS OMP_DYNAMIC OMP_THREAD_LIMIT MKL_DYNAMIC MKL_DOMAIN_NUM_THREADS
KMP_ALL_THREADS RAYON_RS_NUM_CPUS LANGUAGE LC_NUMERIC WANDB_MODE WANDB_PROJECT GIT_DIR
ACCELERATE_MIXED_PRECISION LRU_CACHE_CAPACITY SSLKEYLOGFILE BASH_ENV
"""
CHANGES_RESULTS = _CHANGES_RESULTS.split()


def test_what_a_child_sees_is_this_and_nothing_else():
    given_ = {
        "PATH": "/bin",
        "HOME": "/root",
        "MKL_CBWR": "AVX2",
        "CUDA_VISIBLE_DEVICES": "1",
        "LMEXP_STORE": "s",
        "MY_KEY": "k",
        "OMP_NUM_THREADS": "64",
        "LC_ALL": "tr_TR.ISO8859-9",
        **dict.fromkeys(CHANGES_RESULTS, "7"),
    }
    assert child_environment(given_, threads=3, own=["MY_KEY"]) == {
        "PATH": "/bin",
        "HOME": "/root",
        "MKL_CBWR": "AVX2",
        "CUDA_VISIBLE_DEVICES": "1",
        "LMEXP_STORE": "s",
        "MY_KEY": "k",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
        "BLIS_NUM_THREADS": "3",
        "VECLIB_MAXIMUM_THREADS": "3",
        "NUMEXPR_NUM_THREADS": "3",
        "RAYON_NUM_THREADS": "3",
        "TOKENIZERS_PARALLELISM": "true",
    }
    assert child_environment({}, threads=1) == {
        **SET,
        **dict.fromkeys(THREADS, "1"),
        "TOKENIZERS_PARALLELISM": "false",
    }


def test_of_all_that_the_libraries_read_only_this_reaches_a_child():
    """A variable of this list that is passed on is one whose effect was looked at."""
    names = READ.read_text().split()
    assert len(names) > 900
    assert set(CHANGES_RESULTS) <= {*names, "GIT_DIR", "BASH_ENV", "SLURM_NTASKS"}
    passed = {name for name in names if is_passed(name)}
    assert all(
        n in PASSED | KERNELS | PLACES or n.startswith(("CUDA_", "NCCL_", "TORCH_NCCL_")) for n in passed
    )
    assert not passed & set(CHANGES_RESULTS)
    assert {
        name for name in passed if name.startswith(("PL_", "LT_", "HF_DATASETS", "WANDB", "PYTORCH_J"))
    } == set()
    everything = dict.fromkeys(names, "hostile")
    seen = child_environment(everything, threads=1)
    assert {name for name, value in seen.items() if value == "hostile"} == passed
    assert set(recorded(seen)) == passed - PASSED


@given(st.dictionaries(st.text("ABCDLNPTU_", min_size=1, max_size=12), st.text(max_size=3), max_size=20))
def test_nothing_that_is_not_listed_passes_and_nothing_listed_is_lost(parent):
    seen = child_environment(parent, threads=2)
    assert {name for name in seen if name in parent and name not in SET} == {
        n for n in parent if is_passed(n)
    }
    assert all(seen[name] == parent[name] for name in parent if is_passed(name))
    assert recorded(seen).keys() <= parent.keys()


def test_a_record_shows_kernels_and_places_without_passwords():
    seen = child_environment(
        {"MKL_CBWR": "AVX2", "LD_LIBRARY_PATH": "/lib", "HF_TOKEN": "x", "NCCL_NET": "http://u:pw@h/"},
        threads=1,
    )
    assert recorded(seen) == {"LD_LIBRARY_PATH": "/lib", "MKL_CBWR": "AVX2", "NCCL_NET": "http://***@h/"}


def test_a_replay_takes_kernels_from_the_record_and_libraries_from_here():
    here = {"MKL_CBWR": "AVX512", "LD_PRELOAD": "here.so", "CUDA_VISIBLE_DEVICES": "0", "KMP_BLOCKTIME": "1"}
    there = {
        "MKL_CBWR": "AVX2",
        "LD_PRELOAD": "evil.so",
        "CUDA_VISIBLE_DEVICES": "3",
        "PYTHONSTARTUP": "evil.py",
    }
    seen = child_environment(here, threads=1, kernels=there)
    assert {name: seen[name] for name in here if name in seen} == {
        "MKL_CBWR": "AVX2",
        "LD_PRELOAD": "here.so",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    assert "PYTHONSTARTUP" not in seen


@pytest.mark.parametrize(
    "name", [*CHANGES_RESULTS[:-2], "OMP_NUM_THREADS", "LC_ALL", "TZ", "WANDB_API_KEY", "LD_AUDIT"]
)
def test_a_users_stage_cannot_ask_for_what_a_library_reads(name):
    if name in ("SLURM_NTASKS", "GIT_DIR", "SSLKEYLOGFILE"):
        pytest.skip("nothing that a stage is made of reads it where lmexp starts it")
    with pytest.raises(ConfigError, match=f"names {name}, which lmexp sets or a library reads"):
        ExecutorConfig(environment=(name,))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["A-B"], "names 'A-B', which is no variable's name"),
        (["PATH"], "names PATH, which every stage sees; leave it out"),
        (["CUDA_VISIBLE_DEVICES"], "names CUDA_VISIBLE_DEVICES, which every stage sees"),
    ],
)
def test_a_name_that_makes_no_sense_is_refused(names, sentence):
    with pytest.raises(ConfigError, match=sentence):
        refuse_own(names)
    with pytest.raises(
        ConfigError, match=r"names MY_URK, which is not set \(did you mean 'MY_URL'\?\); set it"
    ):
        child_environment({"MY_URL": "x"}, threads=1, own=["MY_URK"])


def test_a_record_cannot_ask_for_what_a_library_reads_either():
    with pytest.raises(ConfigError, match="names PL_X, which lmexp sets or a library reads"):
        child_environment({"PL_X": "1"}, threads=1, own=["PL_X"])


SHOWS = """
import json, os
from lmexp.core.values.config import Config
from lmexp.core.values.settings import RunConfig
from lmexp.core.graph.stage import Artifact, stage

class ShowConfig(Config):
    "Nothing."

@stage("toy_shows_variables", version=1, produces=Artifact)
def shows(run, config: ShowConfig):
    seen = {name: value for name, value in os.environ.items() if not name.startswith("LMEXP_")}
    (run.out / "variables.json").write_text(json.dumps(seen, sort_keys=True))
    return {}

def pipeline(config: RunConfig):
    return {"shows": shows(ShowConfig())}
"""


def test_a_stage_sees_and_its_segment_records_the_chosen_environment(tmp_path, store, monkeypatch):
    (tmp_path / "shows.py").write_text(SHOWS)
    plan = make_plan(load_file(tmp_path / "shows.py").pipeline(None), store)
    for name in CHANGES_RESULTS:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.setenv("MY_TOY", "secret of mine")
    record = execute(plan, store, ExecutorConfig(environment=("MY_TOY",), threads=2), Silent())["shows"]
    seen = read_json(record.path / "variables.json")
    assert (seen["MKL_CBWR"], seen["MY_TOY"], seen["OMP_NUM_THREADS"]) == (
        "COMPATIBLE",
        "secret of mine",
        "2",
    )
    assert not (set(CHANGES_RESULTS) - {"PYTHONHASHSEED"}) & set(seen)
    (segment,) = record.data["segments"]
    assert segment["variables"]["MKL_CBWR"] == "COMPATIBLE"
    assert segment["own_variables"] == ["MY_TOY"]
    assert "secret of mine" not in json.dumps(record.data)
    monkeypatch.setenv("MKL_CBWR", "AVX2")  # a replay computes under the recorded kernels
    assert not replay(record, store).differing
    monkeypatch.setenv("MY_TOY", "another")
    assert len(replay(record, store).differing) == 1


ENVIRONMENT_READ = re.compile(
    r"(?:environ(?:\.get|\.pop|\.setdefault)?\s*[\[(]|getenv\(|env_\w+\(|\w*_env\w*\()\s*f?['\"]([A-Z][A-Z0-9_]{2,})['\"]"
)


@pytest.mark.slow
def test_the_list_of_variables_is_what_the_installed_libraries_read():
    """A new version that reads another variable makes somebody look at it."""
    from importlib.util import find_spec

    known = set(READ.read_text().split())
    found = set()
    for library in (
        "torch",
        "pytorch_lightning",
        "lightning_fabric",
        "tokenizers",
        "numpy",
        "pyarrow",
        "safetensors",
        "datasets",
        "huggingface_hub",
        "wandb",
        "fsspec",
        "httpx",
        "tqdm",
    ):
        spec = find_spec(library)
        assert spec is not None
        for path in Path(str(spec.origin)).parent.rglob("*.py"):
            if "test" not in path.parts:
                found |= set(ENVIRONMENT_READ.findall(path.read_text("utf-8", "replace")))
    assert sorted(name for name in found - known if is_passed(name)) == []
    assert len(found & known) > 500
