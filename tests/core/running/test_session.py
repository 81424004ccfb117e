"""One invocation of one experiment."""

import pytest

from lmexp.core.graph.compose import compose
from lmexp.core.running.session import run_composition
from lmexp.errors import ConfigError
from lmexp.training.machine import check_machine


def test_what_a_machine_lacks_is_found_before_anything_runs_and_only_for_what_is_to_run(
    copy_of_finished, small, tmp_path
):
    words = [*small, "trainer.accelerator=cuda", "tracking=none"]
    composition = compose([*words, f"store={tmp_path / 'empty'}"])
    try:
        check_machine(composition.handles["pretrain"].config)
    except ConfigError:
        pass
    else:
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="needs a GPU, and this machine has none"):
        run_composition(composition, quiet=True)
    assert not list(tmp_path.glob("empty/artifacts/*/*"))
    run = run_composition(compose([*words, f"store={copy_of_finished.root}"]), quiet=True).run
    assert run.data["status"] == "done"
