"""The runs and artifacts of a store."""

import argparse

from lmexp.verbs.words import no_more, print_json, split_store


def ls(arguments: argparse.Namespace) -> int:
    """the runs and artifacts of a store"""
    from lmexp.core.runs import list_runs, lost_runs

    words, store = split_store(arguments.words)
    no_more(words)
    runs = [
        {"run": r.name, "experiment": r.data["experiment"], "status": r.status, "started": r.data["started"]}
        for r in list_runs(store)
    ]
    artifacts = [
        {
            "stage": r.stage,
            "name": r.name,
            "fingerprint": r.fingerprint,
            "path": r.path.relative_to(store.root).as_posix(),
            "bytes": r.num_bytes,
            "finished": r.data["finished"],
        }
        for r in store.records()
    ]
    lost = [*lost_runs(store), *store.damaged_records()]
    if arguments.json:
        print_json({"store": str(store.root), "runs": runs, "artifacts": artifacts, "lost": lost})
        return 0
    for run in runs:
        print(f"run       {run['status']:11}  {run['started'][:19]}  {run['run']}")
    for item in artifacts:
        print(f"artifact  {item['bytes']:11,}  {item['finished'][:19]}  {item['path']}")
    for reason in lost:
        print(f"lost      {reason}")
    return 0
