"""Which environment variables the processes of a stage see: chosen, not inherited.

Lightning, torch, numpy, datasets and others read hundreds of variables; some of them change a result as
much as a key of the configuration does (``PL_TRAINER_LIMIT_TRAIN_BATCHES``, ``HF_DATASETS_CACHE``), and no
fingerprint knows them. So a child gets what is listed here and nothing else:

- PASSED says where this machine keeps things: programs, packages, proxies, keys. It changes no number.
- KERNELS choose among implementations of the same arithmetic, hence change rounding, and memory. They are
  recorded with each segment of an artifact, and a replay computes under the recorded ones.
- PLACES choose devices, networks and native libraries. They are recorded too, and never taken from a record.
- what SET holds, and the numbers of threads, come from the configuration alone.
- what ``executor.environment`` names is passed for a user's own stages. Their values may be secrets: the
  record holds the names. What a library reads, or lmexp sets, is refused there.

Not listed, hence dropped, is what would change more than rounding and has a key of the configuration or
none at all: ``NVIDIA_TF32_OVERRIDE`` and ``ONEDNN_DEFAULT_FPMATH_MODE`` are precisions, and
``OMP_THREAD_LIMIT`` is a number of threads.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from lmexp.core.values.redact import redact
from lmexp.errors import ConfigError, nearest


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PASSED = _names(
    """
    PATH HOME USER LOGNAME USERNAME TMPDIR TEMP TMP SYSTEMROOT
    XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR
    VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME PYTHONPLATLIBDIR PYTHONUSERBASE PYTHONNOUSERSITE
    PYTHONSAFEPATH PYTHONPYCACHEPREFIX PYTHONDONTWRITEBYTECODE
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NETRC
    HF_HOME HF_TOKEN HF_TOKEN_PATH HUGGING_FACE_HUB_TOKEN HF_ENDPOINT HF_HUB_OFFLINE
    HF_HUB_DOWNLOAD_TIMEOUT HF_HUB_ETAG_TIMEOUT HF_HUB_DISABLE_XET
    """
)
"""Where things are."""

KERNELS = _names(
    """
    MKL_CBWR MKL_ENABLE_INSTRUCTIONS ATEN_CPU_CAPABILITY ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA
    OPENBLAS_CORETYPE NPY_DISABLE_CPU_FEATURES NPY_ENABLE_CPU_FEATURES ARROW_USER_SIMD_LEVEL GLIBC_TUNABLES
    CUBLAS_WORKSPACE_CONFIG PYTORCH_CUDA_ALLOC_CONF PYTORCH_ALLOC_CONF PYTORCH_NO_CUDA_MEMORY_CACHING
    ARROW_DEFAULT_MEMORY_POOL MALLOC_ARENA_MAX MALLOC_CONF MALLOC_TRIM_THRESHOLD_ MALLOC_MMAP_THRESHOLD_
    OMP_PROC_BIND OMP_PLACES OMP_WAIT_POLICY OMP_SCHEDULE OMP_STACKSIZE GOMP_CPU_AFFINITY GOMP_SPINCOUNT
    KMP_AFFINITY KMP_BLOCKTIME KMP_DETERMINISTIC_REDUCTION KMP_DUPLICATE_LIB_OK KMP_HW_SUBSET KMP_LIBRARY
    KMP_STACKSIZE KMP_TOPOLOGY_METHOD
    """
)
"""Which implementation computes, how its threads are bound, and how memory is taken."""

PLACES = _names(
    """
    LD_LIBRARY_PATH LD_PRELOAD DYLD_LIBRARY_PATH DYLD_FALLBACK_LIBRARY_PATH DYLD_INSERT_LIBRARIES
    NVIDIA_VISIBLE_DEVICES NVIDIA_DRIVER_CAPABILITIES HIP_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES
    HSA_OVERRIDE_GFX_VERSION GLOO_SOCKET_IFNAME TP_SOCKET_IFNAME
    """
)
"""Native libraries, devices and networks, by name."""

_PLACE_PREFIXES = ("CUDA_", "NCCL_", "TORCH_NCCL_", "UCX_", "FI_")
"""... and by the beginnings of their names: drivers and the networks between ranks."""

OURS = "LMEXP_"
"""lmexp's own."""

SET = {
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""What every child gets, whatever the parent has."""

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
"""What counts threads in one library each; all get the stage's number."""

_RANKS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "MASTER_")
_LIBRARIES = (
    *("PL_", "LT_", "TORCH", "PYTORCH", "AOT", "INDUCTOR", "TRITON", "LIGHTNING", "PYTHON", "NPY_", "NUMPY"),
    *(
        "MKL",
        "OMP_",
        "KMP_",
        "GOMP",
        "OPENBLAS",
        "GOTO_",
        "BLIS",
        "VECLIB",
        "NUMEXPR",
        "ONEDNN",
        "DNNL",
        "ATEN",
    ),
    *("CUBLAS", "CUDNN", "NVIDIA_", "XLA_", "TOKENIZERS", "RAYON", "RUST_", "HF_", "HUGGING", "DATASETS_"),
    *("TRANSFORMERS", "SAFETENSORS", "ARROW", "PYARROW", "WANDB", "TQDM", "HYDRA_", "FSSPEC", "ACCELERATE"),
    *("LD_", "DYLD_", "MALLOC_", "GLIBC_", "LC_", "LANG", "LRU_CACHE_CAPACITY", "THP_MEM", "TF_", "USE_"),
)
"""How the names begin that the libraries of a stage read."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def child_environment(
    given: Mapping[str, str],
    *,
    threads: int,
    own: Sequence[str] = (),
    kernels: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the environment of a stage's process that may use `threads` threads in every library.

    `given` is the parent's. `own` are the names of a user's variables. `kernels` stands in the place of the
    parent's variables that choose kernels, where it is given.

    Errors: `ConfigError` for a name of `own` that is not set.
    """
    refuse_own(own)
    missing = [name for name in own if name not in given]
    if missing:
        raise ConfigError(
            f"executor.environment names {missing[0]}, which is not set{nearest(missing[0], given)}; "
            "set it, or leave it out."
        )
    passed = {name: value for name, value in given.items() if is_passed(name) or name in own}
    if kernels is not None:
        passed = {name: value for name, value in passed.items() if name not in KERNELS}
        passed |= {name: value for name, value in kernels.items() if name in KERNELS}
    counts = dict.fromkeys(THREADS, str(threads))
    return {**passed, **SET, **counts, "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false"}


def is_passed(name: str) -> bool:
    """Whether a child sees the parent's variable of this name, whatever the configuration says."""
    return name in PASSED or name in KERNELS or _is_place(name) or name.startswith(OURS)


def recorded(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a segment records of its process's environment, passwords hidden: kernels and places."""
    shown = (name for name in sorted(environment) if name in KERNELS or _is_place(name))
    return {name: redact(environment[name]) for name in shown}


def refuse_own(names: Iterable[str]) -> None:
    """Raise `ConfigError` for a name that a user's stage cannot ask for."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"executor.environment names {name!r}, which is no variable's name.")
        if is_passed(name):
            raise ConfigError(f"executor.environment names {name}, which every stage sees; leave it out.")
        if name in SET or name in THREADS or name.startswith((*_RANKS, *_LIBRARIES)):
            raise ConfigError(
                f"executor.environment names {name}, which lmexp sets or a library reads: it could change a "
                "result under the same fingerprint; it is for variables that your own stages read."
            )


def _is_place(name: str) -> bool:
    return name in PLACES or name.startswith(_PLACE_PREFIXES)
