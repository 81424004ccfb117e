"""A tokenizer that puts a start token before every text is followed wherever a model reads one.

Everything is computed again by transformers, on the same folder and with its own reading of the tokenizer.
"""

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from lmexp import load_model, load_tokenizer
from lmexp.core.graph.stage import StageRun
from lmexp.corpus.documents import Document
from lmexp.evals.config import PerplexityConfig
from lmexp.evals.exact_match import score_answers
from lmexp.evals.prompts import prompts_of, score_choices
from lmexp.evals.tasks.items import ExactMatch, Item, Task
from lmexp.models.folder import save_network
from lmexp.scoring.scorer import scorer_of
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.perplexity import perplexity
from lmexp.stages.pretrain import ModelArtifact
from lmexp.stages.tokenizer import TokenizerArtifact
from tests.stages.test_adopted_folders import model_folder

TEXTS = ("The 3 cats can't sit", "on naïve mats, 中文 été")
ITEMS = (
    Item("a", "The 3 cats", (" can't sit", " été"), 0),
    Item("b", "mats", (" 中文", ", naïve"), 1),
    Item("c", "", ("sit", "on mats"), 0),
)


@dataclasses.dataclass(frozen=True)
class Texts(CorpusArtifact):
    """Two documents of unknown entropy."""

    def documents(self, split):
        return iter([Document(text, str(i)) for i, text in enumerate(TEXTS)])

    def known(self):
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = model_folder(tmp_path_factory.mktemp("model"), "llama3", padding=5, context_length=32)
    theirs = load_model(folder)
    with torch.no_grad():
        for i, parameter in enumerate(theirs.parameters()):
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)))
    save_network(theirs, folder, eos_token_id=load_tokenizer(folder).eos_token_id)
    return folder


@pytest.fixture(scope="module")
def theirs(folder):
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def nats(context: str, continuation: str) -> float:
        """Return the nats of a continuation, as lm-eval computes them."""
        begin, ids = tokenizer(context)["input_ids"], tokenizer(context + continuation)["input_ids"]
        assert tokenizer.convert_ids_to_tokens(ids[0]) == "<|begin_of_text|>"
        with torch.no_grad():
            logs = model(torch.tensor([ids])).logits[0].log_softmax(dim=-1)
        return -sum(float(logs[i - 1, ids[i]]) for i in range(len(begin), len(ids)))

    return model, tokenizer, nats


def test_perplexity_is_of_documents_behind_the_start_token(folder, theirs, tmp_path):
    run = StageRun(
        out=tmp_path, work=tmp_path, log=print, should_stop=lambda: False, cache=tmp_path
    )  # fmt: skip
    metrics = perplexity.function(
        run,
        PerplexityConfig(splits=("test",)),
        model=ModelArtifact(folder),
        tokenizer=TokenizerArtifact(folder),
        corpus=Texts(tmp_path),
    )
    nats = [theirs[2]("", text) for text in TEXTS]
    size = sum(len(text.encode()) for text in TEXTS)
    assert metrics["test/bits_per_byte"] == pytest.approx(sum(nats) / math.log(2) / size, rel=1e-5)
    rows = [json.loads(line) for line in (tmp_path / "test.jsonl").read_text().splitlines()]
    assert [row["nll_sum"] for row in rows] == pytest.approx(nats, rel=1e-5)


def test_choices_are_scored_behind_the_start_token(folder, theirs):
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    scorer = scorer_of(model, context_length=32, batch_size=4, bos_token_id=tokenizer.bos_token_id)
    rows = score_choices(scorer, tokenizer, prompts_of(Task(name="t", items=ITEMS), num_fewshot=0, seed=0))
    for item, row in zip(ITEMS, rows, strict=True):
        expected = [-theirs[2](item.context, choice) for choice in item.choices]
        assert row["log_likelihoods"] == pytest.approx(expected, rel=1e-4)


def test_answers_are_written_behind_the_start_token_and_never_with_padded_ids(folder, theirs):
    ours, tokenizer = load_model(folder), load_tokenizer(folder)
    model, reader, _ = theirs
    with torch.no_grad():  # padded ids would be the likeliest
        ours.transformer.wte.weight[-5:] = 3 * ours.transformer.wte.weight[40:45]
    how = ExactMatch(until=("\x00",), max_new_tokens=6)
    task = Task(name="t", kind="exact_match", items=ITEMS, exact_match=how)
    rows = score_answers(ours, tokenizer, task, prompts_of(task, num_fewshot=0, seed=0), batch_size=2)
    embedding = dict.fromkeys(("transformer.wte.weight", "lm_head.weight"), ours.transformer.wte.weight)
    model.load_state_dict({**model.state_dict(), **embedding})
    for item, row in zip(ITEMS, rows, strict=True):
        ids = torch.tensor([reader(item.context)["input_ids"]])
        ends = [tokenizer.eos_token_id, tokenizer.bos_token_id]
        padded = [[i] for i in range(tokenizer.vocab_size, model.config.vocab_size)]
        new = model.generate(
            ids, max_new_tokens=6, do_sample=False, eos_token_id=ends, bad_words_ids=padded, pad_token_id=0
        )[0, ids.shape[1] :].tolist()
        assert row["generated"] == tokenizer.decode([i for i in new if i not in ends])
