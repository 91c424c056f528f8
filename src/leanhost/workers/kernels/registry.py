"""The kernels of one pool: made when they are first wanted, ended with it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence

from leanhost.errors import PoolClosed
from leanhost.toolchain import Toolchain
from leanhost.workers.jobs.import_profiles import ImportProfile
from leanhost.workers.jobs.settings import Settings
from leanhost.workers.kernels.agreement import Agreement, AskJudge, Outcome
from leanhost.workers.kernels.choice import Chosen, KernelChoice, choose
from leanhost.workers.kernels.lean_kernel import LeanKernel
from leanhost.workers.values.items import Request
from leanhost.workers.values.kernel_answers import KernelAnswer

LIBRARIES = 64
"""How many imports it is remembered of which library they were."""


class Kernels:
    """Safe to use from any thread."""

    def __init__(self, settings: Settings, kernels: Sequence[KernelChoice] | None) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._lean: dict[Toolchain, LeanKernel] = {}
        self._libraries: dict[ImportProfile, str] = {}
        self._open: weakref.WeakSet[Agreement] = weakref.WeakSet()
        self._closed = False
        # What was named is looked for now, and a default when it is wanted: it may not be there.
        self._chosen = None if kernels is None else choose(kernels, settings.toolchain)

    def chosen(self, kernels: Sequence[KernelChoice] | None) -> Chosen:
        """Return what *kernels* means for one verification; ``None`` for the pool's own."""
        if kernels is not None:
            return choose(kernels, self._settings.toolchain)
        if self._chosen is None:
            self._chosen = choose(None, self._settings.toolchain)
        return self._chosen

    def own(self, version: str) -> KernelAnswer:
        """The answer of the judge's kernel, whose Lean says that it is of *version*, to what it accepted."""
        judge = self._settings.toolchain
        return KernelAnswer(judge.name, judge.version or version, judge.commit, "accepted")

    def agreement(
        self,
        chosen: Chosen,
        request: Request,
        ask_judge: AskJudge,
        done: Callable[[Sequence[Outcome] | BaseException], None],
    ) -> Agreement:
        """Return the question to the kernels *chosen*, whose processes are started now."""
        kernels = [self._kernel(toolchain) for toolchain in chosen.toolchains]
        agreement = Agreement(kernels, chosen.programs, self._settings, request, ask_judge, done)
        with self._lock:
            self._open.add(agreement)
        return agreement

    def library(self, head: ImportProfile) -> str | None:
        """Return which library references with *head* were judged on top of last."""
        return self._libraries.get(head)

    def remember(self, head: ImportProfile, library: str) -> None:
        """Note which library it is now."""
        with self._lock:
            self._libraries.pop(head, None)
            self._libraries[head] = library
            while len(self._libraries) > LIBRARIES:
                del self._libraries[next(iter(self._libraries))]

    def _kernel(self, toolchain: Toolchain) -> LeanKernel:
        with self._lock:
            if self._closed:
                raise PoolClosed("the pool is closed")
            found = self._lean.get(toolchain)
            if found is None:
                found = self._lean[toolchain] = LeanKernel(toolchain, self._settings)
                found.warm()
            return found

    def close(self) -> None:
        """End every process."""
        with self._lock:
            self._closed = True
            kernels, agreements = list(self._lean.values()), list(self._open)
        for kernel in kernels:
            kernel.close()
        for agreement in agreements:
            agreement.cancel()
