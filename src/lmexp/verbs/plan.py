"""What a run would reuse and compute."""

import argparse

from lmexp.verbs.words import composed, print_json


def plan(arguments: argparse.Namespace) -> int:
    """OVERRIDES: what a run would reuse and compute, and why"""
    from lmexp.core.graph.foresight import foresee
    from lmexp.core.records.runs import run_name
    from lmexp.core.running.console import plan_lines
    from lmexp.core.running.session import plan_of

    composition, store = composed(arguments)
    planned = plan_of(composition, store)
    verdicts = planned.verdicts(store)
    foresee(planned, store, {})
    name = run_name(composition.experiment, planned)
    if arguments.json:
        stages = {
            s.name: {
                "stage": s.handle.stage.name,
                "fingerprint": s.fingerprint,
                "action": verdicts[s.name].action,
                "reason": verdicts[s.name].reason,
                "changed": list(verdicts[s.name].changed),
                "world_size": s.handle.num_ranks,
            }
            for s in planned.stages
        }
        left = dict(composition.left_behind)
        print_json({"run": name, "store": str(store.root), "stages": stages, "left_behind": left})
        return 0
    print(f"run {name} in {store.runs / name}")
    print("\n".join(plan_lines(planned, verdicts, composition.left_behind)))
    return 0
