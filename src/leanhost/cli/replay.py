"""``leanhost replay``: whether the kernel accepts a file in lean4export's format."""

from __future__ import annotations

import argparse
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from leanhost import MAX_EXPORT_BYTES, ElabOptions, FileReplay, Status, WorkerPool
from leanhost.cli.entry import ACCEPTED, REJECTED, TROUBLE, complain
from leanhost.cli.reading import STDIN, stdin
from leanhost.cli.text import one_line, visible
from leanhost.errors import bounded
from leanhost.toolchain import resolve

_SHOWN = 20
"""How many axioms people are shown."""
_LONGEST = 8192
"""Characters of one message."""


def run(arguments: argparse.Namespace) -> int:
    """Replay the file and return the exit status."""
    label = STDIN if arguments.file == "-" else arguments.file
    toolchain = resolve(arguments.toolchain)
    with _regular(arguments.file, label) as path:
        if path is None:
            return TROUBLE
        with WorkerPool(
            toolchain=toolchain,
            imports=(),
            options=ElabOptions(timeout=arguments.timeout),
            memory_limit=arguments.memory_limit << 20,
            known_faults="refuse" if arguments.strict else "tell",
            spares=0,
        ) as pool:
            answer = pool.replay(path, trusted=arguments.trusted, label=label)
    if arguments.json:
        # ASCII only, so that neither the locale nor a lone surrogate in a file's name can spoil the line.
        print(json.dumps(answer.to_json(), ensure_ascii=True), flush=True)
    else:
        _tell(answer)
    if answer.accepted:
        return ACCEPTED
    return TROUBLE if answer.status in (Status.UNSUPPORTED, Status.REFUSED) else REJECTED


@contextmanager
def _regular(name: str, label: str) -> Iterator[str | None]:
    """Yield the path of a regular file with what *name* holds; ``None`` after saying why there is none.

    What can be read only once is copied, because a worker opens the file itself.
    """
    try:
        if name == "-":
            copied = _copied(stdin())
        else:
            with open(name, "rb") as handle:  # noqa: PTH123 - the name as given is the label
                if stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                    copied = None
                else:
                    copied = _copied(handle)
    except OSError as error:
        complain(f"cannot read {label}: {error.strerror or error}")
        yield None
        return
    if copied is None:
        yield name
        return
    with copied:
        yield copied.name


def _copied(handle: IO[bytes]) -> tempfile._TemporaryFileWrapper[bytes]:
    """Copy what *handle* gives, but no more than one byte over what a file may have, which is then refused."""
    copy = tempfile.NamedTemporaryFile(prefix="leanhost-replay-")  # noqa: SIM115 - the caller closes it
    try:
        left = MAX_EXPORT_BYTES + 1
        while left and (block := handle.read(min(left, 1 << 20))):
            copy.write(block)
            left -= len(block)
        copy.flush()
    except BaseException:
        copy.close()
        raise
    return copy


def _tell(answer: FileReplay) -> None:
    how = [answer.status.value.replace("_", " "), f"{answer.elapsed:.2f} s", answer.toolchain]
    if answer.accepted:
        how.insert(1, f"{answer.theorems} theorems, {answer.declarations} declarations")
    print(f"{one_line(answer.file)}: {visible('; '.join(how))}")
    if not answer.accepted:
        parts = (answer.code, answer.name, f"line {answer.line}" if answer.line else "")
        place = " ".join(part for part in parts if part)
        said = f"{place}: {answer.message}" if place else answer.message
        print(f"  {visible(bounded(said, _LONGEST))}")
        return
    axioms = [*answer.axioms[:_SHOWN], *(["..."] if len(answer.axioms) > _SHOWN else [])]
    print(f"axioms: {visible(', '.join(axioms)) or 'none'}")
    if answer.missing_bodies:
        print(f"note: {answer.missing_bodies} of them are theorems whose proofs the exporter did not have")
    for caveat in answer.caveats:
        print(f"note: {visible(caveat)}")
