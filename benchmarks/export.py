"""Writing and replaying a large export: speed, and how much memory each takes on top of the terms.

Run: python benchmarks/export.py [MB ...]     (default: 10 100; needs the native runtime)

A file of the given size is generated: definitions of a thousand different applications each. It is replayed in an
empty environment, and what the kernel then holds is exported again. The rows compare two sizes in one run: what
grows by less than the file is not kept. Rates are per second of processor time, whatever else the machine does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from leanhost.engine.expressions import Field
from leanhost.lean import names
from leanhost.lean.core import Constant
from leanhost.services.exports.read.outcome import Replayed
from leanhost.services.exports.read.replay import replay_export
from leanhost.services.exports.write.export import export
from leanhost.services.opening.open import open_lean
from leanhost.services.values.options import ElabOptions
from leanhost.toolchain import resolve

TERMS = 500
"""Applications of two arguments in each definition: a thousand lines."""


def generate(size: int) -> Iterator[str]:
    """Yield the lines of a file of some *size* bytes."""
    yield '{"meta":{"exporter":{"name":"x","version":"1"},"format":{"version":"3.1.0"},"lean":{}}}'
    for number, name in enumerate("Nzfx", 1):
        yield json.dumps({"in": number, "str": {"pre": 0, "str": name}})
    head = '{"axiom":{"name":%d,"levelParams":[],"type":%d,"isUnsafe":false}}'
    yield '{"il":1,"succ":0}\n{"ie":0,"sort":1}\n' + head % (1, 0)
    yield '{"ie":1,"const":{"name":1,"us":[]}}\n' + head % (2, 1)
    binder = '{"ie":%d,"forallE":{"name":4,"type":1,"body":%d,"binderInfo":"default"}}'
    yield binder % (2, 1) + "\n" + binder % (3, 2) + "\n" + head % (3, 3)
    yield '{"ie":4,"const":{"name":3,"us":[]}}\n{"ie":5,"const":{"name":2,"us":[]}}'
    written, at, number = 1000, 6, 5
    while written < size:
        lines = []
        last = at - 1
        for i in range(TERMS):
            other = last if i % 3 == 0 else max(5, last - 2 * (i % 7))
            lines.append(f'{{"app":{{"arg":{other if other % 2 else 5},"fn":4}},"ie":{at}}}')
            lines.append(f'{{"app":{{"arg":{last},"fn":{at}}},"ie":{at + 1}}}')
            last = at + 1
            at += 2
        lines.append(f'{{"in":{number},"str":{{"pre":0,"str":"d{number}"}}}}')
        lines.append(
            f'{{"def":{{"all":[{number}],"hints":"opaque","levelParams":[],"name":{number},'
            f'"safety":"safe","type":1,"value":{last}}}}}\n{{"const":{{"name":{number},"us":[]}},"ie":{at}}}'
        )
        at += 1
        number += 1
        text = "\n".join(lines)
        written += len(text) + 1
        yield text


def resident() -> float:
    """Resident memory in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def measure(megabytes: int) -> None:
    lean = open_lean(resolve("native-runtime")).lean
    with tempfile.TemporaryDirectory() as scratch:
        first, second = Path(scratch) / "a.ndjson", Path(scratch) / "b.ndjson"
        with first.open("w") as file:
            file.writelines(line + "\n" for line in generate(megabytes << 20))
        size = first.stat().st_size / 2**20
        at = resident()
        begun = time.process_time()
        outcome = replay_export(first, lean, timeout=3600, options=ElabOptions())
        took = time.process_time() - begun
        assert isinstance(outcome, Replayed), outcome
        replayed = (outcome.lines / took, size / took, resident() - at)
        found = []
        for text in outcome.names:
            option = lean.engine.eval(lean.table.kernel_find(outcome.kernel_env, lean.name(text)))
            info = lean.engine.eval(Field(option, 0))
            found.append(Constant(names.parse(text), lean.constant_kind(info), info))
        at = peak = resident()

        def watch(_: object) -> None:
            nonlocal peak
            peak = max(peak, resident())

        begun = time.process_time()
        with lean.empty_environment() as nothing:
            report = export(lean, nothing, [c.name for c in found], second, added=found, progress=watch)
        took = time.process_time() - begun
        written = (report.lines / took, report.bytes / 2**20 / took, peak - at)
        for what, (lines, rate, memory) in (("replay", replayed), ("export", written)):
            print(
                f"{size:8.1f}  {what:8} {lines:12,.0f} {rate:8.2f} {memory:12.1f} {memory / size:10.2f}",
                flush=True,
            )


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
        return
    print("      MB  what          lines/s     MB/s  MB more RSS     per MB")
    for size in sys.argv[1:] or ["10", "100"]:
        subprocess.run([sys.executable, __file__, "--one", size], check=True)


if __name__ == "__main__":
    main()
