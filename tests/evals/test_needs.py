"""What an evaluation cannot do with its model is said before it is made."""

from types import SimpleNamespace

import pytest

from lmexp.core.graph.stage import Upstream
from lmexp.errors import ConfigError, DataError
from lmexp.evals.config import PerplexityConfig, PromptsConfig
from lmexp.evals.needs import check_perplexity, check_prompts

TASK = 'name: own\nkind: exact_match\ndata: own.jsonl\nprompt: "{q}"\nanswer: "{a}"\nmax_new_tokens: 16\n'


def trained(length):
    return {"pretrain": Upstream(config=SimpleNamespace(model=SimpleNamespace(longest=length)), metrics=None)}


def adopted(length):
    metrics = None if length is None else {"context_length": length}
    return {"adopted_model": Upstream(config=None, metrics=metrics)}


@pytest.mark.parametrize("above", [trained, adopted])
def test_answers_longer_than_the_context_are_refused_before_anything_runs(tmp_path, above):
    (tmp_path / "own.yaml").write_text(TASK)
    (tmp_path / "own.jsonl").write_text('{"q": 1, "a": 2}\n')
    config = PromptsConfig(tasks=(), task_files=(str(tmp_path / "own.yaml"),))
    with pytest.raises(
        DataError, match=r"own.yaml: the task generates up to 16 tokens, .* has 15; lower its max_"
    ):
        check_prompts(config, above(15))
    check_prompts(config, above(16))
    check_prompts(config, adopted(None))


@pytest.mark.parametrize("key", ["context_length", "stride"])
def test_a_window_wider_than_the_context_is_refused_before_anything_runs(key):
    config = PerplexityConfig(**{key: 16})
    with pytest.raises(
        ConfigError, match=rf"perplexity.{key} \(16\) must be at most the model's context, 15"
    ):
        check_perplexity(config, adopted(15))
    check_perplexity(config, adopted(16))
    check_perplexity(config, adopted(None))
    check_perplexity(PerplexityConfig(), trained(1))
