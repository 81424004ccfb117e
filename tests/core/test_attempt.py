"""What one attempt at a stage takes over from the one before it."""

from lmexp.core.attempt import new_attempt


def test_an_attempt_takes_over_the_newest_checkpoint_and_the_files_of_steps_up_to_it(tmp_path):
    first, step = new_attempt(tmp_path, 1, {})
    assert step is None
    folder = first / "work" / "checkpoints"
    names = ["step-00000002.ckpt", "step-00000004.ckpt", "step-00000003.safetensors"]
    names += ["step-00000004.safetensors"]
    later = ["step-00000005.safetensors", "step-00000005.tmp", "step-00000003.tmp", "step-3.weights.tmp"]
    for name in (*names, *later, "other"):
        (folder / name).write_text(name)
    (first / "metrics.jsonl").write_text('{"step": 4}\n{"step": 5}\n')
    second, step = new_attempt(tmp_path, 2, {})
    assert step == 4
    found = {path.name: path.read_text() for path in (second / "work" / "checkpoints").iterdir()}
    assert found == {name: name for name in names}
    assert (second / "metrics.jsonl").read_text() == '{"step": 4}\n'
    assert [path.name for path in tmp_path.iterdir()] == [second.name]
