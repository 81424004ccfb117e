"""All verbs of the ``lmexp`` command, each with the options that it reads."""

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

from lmexp.verbs.adopt import adopt
from lmexp.verbs.completion import complete
from lmexp.verbs.dashboard import dashboard
from lmexp.verbs.gc import gc
from lmexp.verbs.ls import ls
from lmexp.verbs.models.audit import audit
from lmexp.verbs.models.generate import generate
from lmexp.verbs.models.next_token import next_token
from lmexp.verbs.models.score import score
from lmexp.verbs.plan import plan
from lmexp.verbs.replay import replay
from lmexp.verbs.report import report
from lmexp.verbs.show import show
from lmexp.verbs.sync import sync
from lmexp.verbs.tokens.compare import compare
from lmexp.verbs.tokens.tokenize import tokenize
from lmexp.verbs.tokens.trace import tokenizer
from lmexp.verbs.verify import verify
from lmexp.verbs.why import why


@dataclasses.dataclass(frozen=True)
class Verb:
    """A function of the command's arguments, and the options that it reads."""

    function: Callable[[argparse.Namespace], int]
    options: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """The words that it takes and what it does, in a line."""
        return (self.function.__doc__ or "").splitlines()[0]


def completion(arguments: argparse.Namespace) -> int:
    """bash|zsh|fish: print the script that completes words; put it where your shell reads it"""
    return complete(list(arguments.words), {name: verb.options for name, verb in VERBS.items()})


OPTIONS: dict[str, dict[str, Any]] = {
    "--json": {"action": "store_true", "help": "print JSON"},
    "--config-dir": {"metavar": "DIR", "help": "your own configs; default: conf here"},
    "--config-name": {"metavar": "NAME", "default": "config", "help": "the primary config"},
    "--pipeline": {"metavar": "FILE", "help": "the file that defines your own stages"},
    "--with": {
        "metavar": "FILE",
        "action": "append",
        "default": [],
        "dest": "extensions",
        "help": "your own kinds: a file of extensions=",
    },
    "--prompt": {"metavar": "TEXT", "default": "", "help": "the text before"},
    "--temperature": {"metavar": "T", "help": "divides the logits; 0 is greedy"},
    "--top-k": {"metavar": "K", "help": "most likely tokens that are kept"},
    "--top-p": {"metavar": "P", "help": "probability whose tokens are kept"},
    "--limit": {"metavar": "N", "help": "most that are shown (20), or read (compare: 1000)"},
    "--file": {"metavar": "FILE", "help": "texts from a file; score: lists of candidates; audit: paragraphs"},
    "--tokenizer": {
        "metavar": "WHAT",
        "action": "append",
        "default": [],
        "help": "a run, an artifact, a directory, or a kind as word or byte_bpe:300",
    },
    "--tokenizers": {"action": "store_true", "help": "what is compared"},
    "--texts": {
        "metavar": "FILE",
        "action": "append",
        "default": [],
        "help": "a domain: one text a line",
    },
    "--corpus": {"metavar": "WHAT", "help": "a run or artifact: its validation split"},
    "--learn": {"metavar": "FILE", "help": "text that a kind of tokenizer is made of"},
    "--ties": {"metavar": "RULE", "help": "of equal pairs: reference (default) or first"},
    "--split": {"metavar": "RULE", "help": "no merge across: gpt2 (default) or space"},
    "--pieces": {"metavar": "PIECES", "help": "a Unigram model instead: ab=2/3,c=1/3"},
    "--em": {"metavar": "N", "help": "steps of expectation maximisation"},
    "--sweep": {"metavar": "NAME", "action": "append", "default": [], "help": "this sweep's page"},
    "--keep": {"metavar": "RUN", "action": "append", "default": [], "help": "keep this run only"},
    "--save": {"action": "store_true", "help": "put it on the wandb server"},
    "--downloads": {"action": "store_true", "help": "also what can be downloaded again"},
    "--delete": {"action": "store_true", "help": "really delete"},
}

_COMPOSING = ("--config-dir", "--config-name")

VERBS: dict[str, Verb] = {
    "plan": Verb(plan, ("--json", *_COMPOSING)),
    "why": Verb(why, _COMPOSING),
    "ls": Verb(ls, ("--json",)),
    "show": Verb(show, ("--json",)),
    "report": Verb(report, ("--sweep", "--with")),
    "verify": Verb(verify, ("--json",)),
    "replay": Verb(replay, ("--pipeline", "--with")),
    "generate": Verb(
        generate,
        ("--prompt", "--with"),
        ("KEY=VALUE: max_new_tokens, temperature, top_k, top_p, stop, suffix, steps, order, seed",),
    ),
    "next": Verb(
        next_token, ("--prompt", "--temperature", "--top-k", "--top-p", "--limit", "--json", "--with")
    ),
    "score": Verb(score, ("--prompt", "--file", "--json", "--with")),
    "audit": Verb(audit, ("--file", "--json", "--with")),
    "tokenize": Verb(tokenize, ("--tokenizer", "--learn", "--json", "--with")),
    "compare": Verb(
        compare, ("--tokenizers", "--texts", "--corpus", "--learn", "--limit", "--json", "--with")
    ),
    "tokenizer": Verb(tokenizer, ("--ties", "--split", "--pieces", "--em", "--limit", "--file", "--json")),
    "adopt": Verb(adopt, ("--with",)),
    "sync": Verb(sync),
    "dashboard": Verb(dashboard, ("--save",)),
    "gc": Verb(gc, ("--json", "--keep", "--downloads", "--delete")),
    "completion": Verb(completion),
}
