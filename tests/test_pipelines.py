"""The shipped pipelines' configurations."""

import pytest

from lmexp.core.graph.compose import compose
from lmexp.core.graph.loading import config_class
from lmexp.core.graph.reserved import find_pipeline
from lmexp.core.values.one_of import names
from lmexp.core.values.settings import RunConfig
from lmexp.errors import ConfigError
from lmexp.training.config import PretrainConfig


def test_the_main_pipelines_keys_are_those_of_training_of_a_run_and_one_group_for_each_other_stage():
    keys = set(names(config_class(find_pipeline("pretrain"))))
    stages = set(compose(["+experiment=tiny", "+audit=default", "+size=default"]).handles) - {
        "pretrain",
        "baseline",
    }
    assert keys == set(names(PretrainConfig)) | set(names(RunConfig)) | stages


def test_what_training_refuses_the_main_pipeline_refuses_by_the_same_key():
    with pytest.raises(ConfigError, match=r"^micro_batch_size \(3\) must divide the 8 sequences"):
        compose(["+experiment=tiny", "micro_batch_size=3"])
