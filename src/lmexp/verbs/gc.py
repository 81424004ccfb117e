"""Frees what no kept run needs."""

import argparse

from lmexp.verbs.words import no_more, print_json, split_store


def gc(arguments: argparse.Namespace) -> int:
    """[--keep RUN ...] [--downloads] [--delete]: what no kept run needs; deletes only with --delete"""
    from lmexp.core.records.gc import find_garbage, sweep

    words, store = split_store(arguments.words)
    no_more(words)
    garbage = find_garbage(store, arguments.keep, downloads=arguments.downloads)
    if arguments.delete:
        garbage = sweep(store, garbage, arguments.keep)
    total = sum(item.num_bytes for item in garbage)
    if arguments.json:
        items = [{"path": str(g.path), "bytes": g.num_bytes, "reason": g.reason} for g in garbage]
        print_json({"garbage": items, "bytes": total, "deleted": arguments.delete})
        return 0
    for item in garbage:
        print(f"{item.num_bytes:13,}  {item.path.relative_to(store.root)}  ({item.reason})")
    print(f"{total:13,}  bytes {'freed' if arguments.delete else 'would be freed; add --delete'}")
    return 0
