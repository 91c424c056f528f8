"""What processes that share an import hold, by the kernel's account; no Lean may run in the asking process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.table import show
from leanhost.workers import WorkerPool

CHILDREN = 8

# What one process holds that imports for itself and checks the same.
_ALONE = """
import json, sys
from leanhost.services.session.host import Host
from leanhost.toolchain import resolve
from benchmarks.workers_memory import held
source, *path = sys.argv[1:]
with Host(resolve("native-runtime"), [*map(__import__("pathlib").Path, path)]) as host:
    before = held("self")
    with host.session(["Big"]) as session:
        session.kernel_check("example : Type := Nat")
    imported = held("self")
    for i in range(3):
        assert host.check_source(source, imports=["Big"]).accepted
    print(json.dumps([before, imported, held("self")]))
"""


def held(pid: int | str) -> dict[str, int]:
    """Return a process's ``smaps_rollup`` in bytes, with its private pages as ``Private``."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        found[name] = int(value.split()[0]) * 1024
    return {**found, "Private": found["Private_Clean"] + found["Private_Dirty"]}


def memory(search_path: Sequence[Path], settings: dict[str, Any], source: str) -> None:
    """Eight children over the large library, against one process."""
    command = [sys.executable, "-c", _ALONE, source, *map(str, search_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    before, imported, alone = json.loads(done.stdout)
    with WorkerPool(**settings, workers=CHILDREN, max_requests=10**6, spares=0) as pool:
        results = list(pool.check_many([source] * 20 * CHILDREN))
        assert all(r.accepted for r in results)
        supervisor = pool._supervisor
        children = [held(worker.process.pid) for worker in supervisor._workers if worker.served]
        zygote = held(supervisor._launcher.pids()[0])
    assert len(children) == CHILDREN
    total = zygote["Pss"] + sum(child["Pss"] for child in children)
    private = sum(child["Private"] for child in children) / len(children)
    environment = imported["Rss"] - before["Rss"]
    rows = [
        ["one process that imports and checks (Pss)", _mib(alone["Pss"]), "1"],
        [
            f"zygote and {CHILDREN} children that checked (Pss)",
            _mib(total),
            f"{total / alone['Pss']:.2f}x",
        ],
        ["the process that has the environment (Rss)", _mib(alone["Rss"]), "1"],
        [
            "private memory of a child that checked (mean)",
            _mib(private),
            f"{private / alone['Rss']:.1%}",
        ],
        ["what the import alone adds to a running Lean (Rss)", _mib(environment), "1"],
        ["the same private memory", _mib(private), f"{private / environment:.1%}"],
    ]
    show("Memory over 100,000 declarations", ["what", "memory", "ratio"], rows)


def _mib(count: float) -> str:
    return f"{count / 2**20:.1f} MiB"
