"""``python -m leanhost.services.probe``: the child process of a self-test, which may crash.

The request is a line on standard input. Each step is announced and reported on a descriptor of its own: standard
output is Lean's to write to.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from leanhost.errors import bounded
from leanhost.services.opening.selftest import EXIT_GRACE, KEPT_DETAIL
from leanhost.services.probe.steps import Probe
from leanhost.toolchain import Toolchain


def main() -> None:
    """Serve one request; the process ends here, without Python's own end: Lean's threads may be anywhere."""
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    descriptor = int(request["report"])
    os.set_inheritable(descriptor, False)
    _limit_this_process(float(request["timeout"]))

    def tell(event: dict[str, Any]) -> None:
        data = json.dumps(event).encode() + b"\n"
        while data:
            data = data[os.write(descriptor, data) :]

    def tried(name: str, step: Callable[[], str]) -> bool:
        tell({"begin": name})
        begun = time.monotonic()
        try:
            ok, detail = True, step()
        except BaseException as error:
            ok, detail = False, f"{type(error).__name__}: {error}"
        detail = bounded(detail, KEPT_DETAIL)
        tell({"name": name, "ok": ok, "detail": detail, "seconds": time.monotonic() - begun})
        return ok

    scratch = Path(request["scratch"]).resolve()
    probe = Probe(_unpack(request["toolchain"]), str(request["table"]), scratch)
    for name, step, needed in probe.steps():
        ok = tried(name, step)
        if name == "version" and ok:
            tell({"version": probe.version, "commit": probe.commit})
        if needed and not ok:
            break
    probe.close()
    tell({"done": True})
    os._exit(0)


def _end_with_the_parent() -> None:
    """Wait for the end of standard input, which the parent keeps open for as long as it lives."""
    os.read(0, 1)
    os._exit(1)


def _limit_this_process(timeout: float) -> None:
    """Leave no core dump, and end even if the parent is stopped and does not watch the clock."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, timeout + EXIT_GRACE)


_PATHS = ("sysroot", "library", "core", "glue", "module", "node")


def _unpack(values: dict[str, Any]) -> Toolchain:
    paths = {name: Path(values[name]) for name in _PATHS if values[name] is not None}
    return Toolchain(**{**values, **paths})


if __name__ == "__main__":
    main()
