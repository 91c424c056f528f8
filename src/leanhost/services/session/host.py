"""The host: one opened toolchain, its imports and the sessions over them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from leanhost.engine.values import Ref
from leanhost.errors import Cancelled, ClosedError, ElaborationError, ImportFailed, UsageError
from leanhost.lean.core import Import, Lean, OptionValue
from leanhost.services.elaboration.environment import Imported, ImportKey, import_environment, parse_imports
from leanhost.services.elaboration.header import Header, Headers, import_place
from leanhost.services.exports.read.outcome import ReplayOutcome
from leanhost.services.exports.read.replay import Source, replay_export
from leanhost.services.opening import images
from leanhost.services.opening.open import Opened, is_under_test, open_lean, settle
from leanhost.services.session.rehearsal import rehearse
from leanhost.services.session.session import Accepted, Session
from leanhost.services.session.snapshot import HostSnapshot
from leanhost.services.session.verdict import Check
from leanhost.services.values.cancellation import Cancellation, check
from leanhost.services.values.lifecycle import Closable, Closing, Life, ProcessBound
from leanhost.services.values.limits import CallContext
from leanhost.services.values.options import AllowedAxioms, ElabOptions
from leanhost.services.values.progress import ProgressSink
from leanhost.services.values.recent import Recent
from leanhost.services.values.results import (
    CheckResult,
    CommandResult,
    Diagnostic,
    Position,
    Severity,
)
from leanhost.services.values.text import decode_source, prepare, read
from leanhost.toolchain import Toolchain, directories, lean_path, load_project, resolve
from leanhost.toolchain.faults import caveat

KEPT_IMPORTS = 4
"""How many imported environments a host keeps for :meth:`Host.check_source`."""

INIT = ImportKey(parse_imports(["Init"]))
"""What a source without a header imports."""

KEPT_OPTIONS = 16
"""How many different option sets a host keeps in Lean's form."""


def open(
    project: str | Path | None = None,
    toolchain: str | Path | Toolchain | None = None,
    *,
    search_path: Sequence[Path | str] = (),
    strict: bool = False,
) -> Host:
    """Open a Lean and return its :class:`Host`.

    *project* is a directory inside a built Lake project, whose modules can then be imported and whose
    ``lean-toolchain`` is honoured. *toolchain* is a name, a path or a :class:`Toolchain`; see
    ``leanhost doctor`` for the order of discovery. *search_path* are further directories of ``.olean`` files,
    looked at first; those of ``LEAN_PATH`` come last. ``strict=True`` refuses a Lean that no version table
    names.

    Raises :class:`~leanhost.errors.ToolchainError`, :class:`~leanhost.errors.ProjectError` or
    :class:`~leanhost.errors.UsageError`.
    """
    first = directories(search_path)
    lake = load_project(Path(project)) if project is not None else None
    found = (
        toolchain
        if isinstance(toolchain, Toolchain)
        else resolve(toolchain, Path(project) if project else None)
    )
    extra = (*first, *(lake.search_path if lake else ()), *lean_path())
    make_ready(found, search_path=extra, strict=strict)
    return Host(found, extra, strict=strict)


def make_ready(
    toolchain: Toolchain, first: ImportKey = INIT, search_path: Sequence[Path] = (), *, strict: bool = False
) -> None:
    """Do once what makes later starts of *toolchain* quick: the self-test, and an image where one is due.

    Raises what :func:`open` does. A cache that cannot be written costs time with each start, and nothing else.
    """
    if is_under_test():
        return
    record = settle(toolchain, strict=strict, first=first)
    if not images.is_core(
        first, (*search_path, *([toolchain.core] if toolchain.core else [])), toolchain.core
    ):
        return
    with images.making(toolchain, record, first) as ours:
        if ours:
            with Host(toolchain, search_path, strict=strict, first=first) as host:
                host._keep_image()


class Host(Closing, ProcessBound):
    """One opened toolchain. Sessions and checks share its engine; a lost engine is opened again when needed.

    Made by :func:`leanhost.open`; a context manager. Safe to use from several threads: Lean answers them one at a time.
    """

    def __init__(
        self,
        toolchain: Toolchain,
        search_path: Sequence[Path] = (),
        *,
        strict: bool = False,
        tasks: bool = True,
        first: ImportKey = INIT,
    ) -> None:
        """Open *toolchain*; *first* is what will be imported first, as far as that is known."""
        self._wanted = toolchain
        self._first = first
        """What was expected to be imported first."""
        self._strict = strict
        self._lock = threading.RLock()
        self._kept = _imports()
        self._guests: weakref.WeakSet[Closable] = weakref.WeakSet()
        # Not closed: a session may still use what is dropped here.
        self._options: Recent[tuple[int, str], tuple[Lean, Ref]] = Recent(KEPT_OPTIONS)
        self._last_options: tuple[Lean, ElabOptions, Ref] | None = None
        self._headers = Headers()
        self._life = Life()
        self._closed = False
        self._kept_from_image: Imported | None = None
        self._snapshot: HostSnapshot | None = None
        self._pristine = False
        core = toolchain.core
        self.search_path: tuple[Path, ...] = (*search_path, *((core,) if core is not None else ()))
        self._opened: Opened = self._open(tasks=tasks)

    def _open(self, *, tasks: bool = True) -> Opened:
        """Open the Lean, from an image of what is imported first where there is one."""
        first = self._first if images.is_core(self._first, self.search_path, self._wanted.core) else None
        opened = open_lean(self._wanted, strict=self._strict, tasks=tasks, first=first)
        self._kept_from_image = images.taken_over(opened.lean, self._first)
        if self._kept_from_image is not None:
            self._kept.put(self._first, self._kept_from_image)
        return opened

    def _keep_image(self) -> bool:
        """Keep an image of this Lean over what it was to import first, for later starts; return whether it was done.

        For a host that has run nobody's code. It rehearses first, so that what is made on first use is there.
        """
        with self._lock:
            lean = self._current
            if (
                not images.is_core(self._first, self.search_path, self._wanted.core)
                or not lean.engine.can_reset
            ):
                return False
            imported = self._kept_import(lean, self._first, None, None)
        try:
            rehearse(lambda source: self.check_source(source, imports=self._first.imports))
            return images.keep(lean, self.toolchain, imported)
        finally:
            imported.close()

    @property
    def toolchain(self) -> Toolchain:
        """The opened toolchain, with its version, its commit and how it was verified."""
        return self._opened.toolchain

    @property
    def _current(self) -> Lean:
        """The Lean in use, opened anew when the last was lost."""
        # Before the lock: in a fork, the thread of the parent that held it will never release it.
        self._life.check_home("this host")
        with self._lock:
            if self._closed:
                raise ClosedError("this host is closed")
            if self._opened.lean.engine.lost:
                self._kept.clear()
                self._options.clear()
                self._snapshot = None
                self._opened = self._open()
            return self._opened.lean

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def _import_key(self, imports: Sequence[str | Import], *, is_module: bool = False) -> ImportKey:
        """Return what identifies an import; *is_module* reads the exported parts only, as a ``module`` does."""
        return ImportKey(parse_imports(imports), is_module)

    def _import_fresh(self, lean: Lean, key: ImportKey, progress: ProgressSink | None = None) -> Imported:
        """Import *key* into *lean*; the caller is the environment's only user."""
        return import_environment(lean, key, self.search_path, self.toolchain.core, progress=progress)

    @property
    def _lean(self) -> Lean:
        """The Lean in use, for the floors above: whatever is done with it, the host is not as it was any more."""
        self._pristine = False
        return self._current

    def session(
        self,
        imports: Sequence[str | Import] = ("Init",),
        options: ElabOptions | None = None,
        *,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> Session:
        """Import modules, in the order given, and return a session over them.

        The last few environments are kept, so asking again for the same imports costs next to nothing. A
        cancellation is looked at before the import, which itself cannot be stopped. *progress* receives the
        phase ``import``, in modules. Raises :class:`~leanhost.errors.ImportFailed` and
        :class:`~leanhost.errors.Cancelled`.
        """
        check(cancellation, "the import")
        lean = self._current
        options = options or ElabOptions()
        self._lean_options(lean, options)  # refused before the import, not after it
        imported = self._kept_import(lean, self._import_key(imports), cancellation, progress)
        try:
            return Session._over(self, lean, imported, options)
        except BaseException:
            imported.close()
            raise

    def replay(
        self,
        source: Source,
        *,
        options: ElabOptions | None = None,
        trusted: Collection[str] = (),
        sha256: str | None = None,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> ReplayOutcome:
        """Rebuild and kernel-check the export in *source*, in an otherwise empty environment; no library is needed.

        *source* is a path or a binary file; nothing it says can keep the kernel from looking. *options* bound the
        kernel (``max_heartbeats`` for each declaration), *timeout* in seconds all of it. The kernel computes functions
        on numbers (``Nat.gcd``...) itself where their equations hold, or where the file defines them as the ``Init`` of
        this host does, term for term; *trusted* names others which the file is known to define as Lean does.
        *sha256* is the digest the file must have (:attr:`leanhost.ExportReport.sha256`): with it, a changed file is
        refused also where it says something else that is right. *progress* receives the phase ``replay``, in bytes
        of the file.

        Returns an outcome, whatever the file holds. Raises ``OSError`` when it cannot be read, and
        :class:`~leanhost.errors.EngineStuck` when the kernel ignored a cancellation.
        """
        return replay_export(
            source,
            self._lean,
            options=options,
            trusted=trusted,
            library=self._library,
            sha256=sha256,
            timeout=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    def _library(self) -> Ref | None:
        """What a file's functions on numbers are compared with: ``Init``, where there is one to import."""
        lean = self._current
        try:
            imported = self._kept_import(lean, self._import_key(("Init",)), None, None)
        except ImportFailed:
            return None
        try:
            return lean.engine.eval(imported.env)
        finally:
            imported.close()

    def _adopt(self, guest: Closable) -> None:
        """Remember a session or a pool, so that it ends with this host."""
        self._life.check_home("this host")
        with self._lock:
            if self._closed:
                raise ClosedError("this host is closed")
            self._guests.add(guest)

    def _lean_options(self, lean: Lean, options: ElabOptions) -> Ref:
        """Return ``Lean.Options`` with the values of *options*, built once for each of the last few.

        Raises :class:`~leanhost.errors.UsageError` for an unknown option or a value of another type.
        """
        last = self._last_options
        if last is not None and last[0] is lean and last[1] is options:
            return last[2]
        found = self._built(lean, options.lean_options())
        self._last_options = (lean, options, found)
        return found

    def _kernel_options(self, lean: Lean, options: ElabOptions) -> Ref:
        """Return the ``Lean.Options`` the kernel judges under: the limits of *options*, nothing else."""
        return self._built(lean, options.kernel_options())

    def _built(self, lean: Lean, values: Mapping[str, OptionValue]) -> Ref:
        key = (id(lean), repr(sorted(values.items())))
        with self._lock:
            found = self._options.get(key)
            if found is None:
                found = self._options.put(key, (lean, lean.options(values)))
            return found[1]

    def private_bytes(self) -> int:
        """Return Lean's memory in bytes: this process's private pages (native) or Lean's heap (wasm)."""
        return self._current.engine.private_bytes()

    def _preload(self, header: str = "", *, imports: Sequence[str | Import] | None = None) -> None:
        """Import what later :meth:`check_source` calls for sources with this header and *imports* find ready.

        For a process that forks afterwards: the environment is never freed, so that children share its pages.
        Raises :class:`~leanhost.errors.ImportFailed`.
        """
        lean = self._current
        key = _key(self._headers.parse(lean, header, "<header>"), imports)
        with self._lock:
            if key in self._kept and self._kept.get(key) is self._kept_from_image:
                return
            self._kept.put(
                key, import_environment(lean, key, self.search_path, self.toolchain.core, leak=True)
            )

    def _start_tasks(self) -> None:
        """Make a host that was opened with ``tasks=False`` this process's own, in the forked child.

        Lean's task manager starts here. What was made before the fork stays the parent's: sessions, handles.
        """
        if self._life.is_foreign:
            self._life = Life()
        self._current.engine.start_tasks()

    def snapshot(self) -> None:
        """Keep this host's Lean as it is now, with all it has imported, for :meth:`reset`; the last snapshot counts.

        :class:`~leanhost.errors.UsageError` where Lean cannot be reset (native): fork the process instead.
        """
        with self._lock:
            lean = self._current
            lean.drop_capture()
            if self._snapshot is not None:
                self._snapshot.close()
                self._snapshot = None
            lean.engine.snapshot()
            self._snapshot = HostSnapshot.take(lean, self._kept, self._options, self._headers)
            self._pristine = True

    def reset(self) -> None:
        """Put Lean back to the last snapshot: nothing that any source has done since is left.

        Sessions and other handles made since end. An environment imported before any code ran belongs to the
        snapshot. Raises :class:`~leanhost.errors.EngineLost` when Lean cannot be put back.
        """
        with self._lock:
            lean, snapshot = self._current, self._snapshot
            if snapshot is None:
                raise UsageError("there is no snapshot to reset this host to")
            for guest in list(self._guests):
                guest.close()
            self._guests.clear()
            lean.engine.reset()
            lean.drop_capture()
            self._kept.clear()
            snapshot.put_back(self._kept)
            self._options = snapshot.options.copy()
            self._last_options = None
            self._headers = snapshot.headers.copy()
            self._pristine = True

    def _kept_import(
        self, lean: Lean, key: ImportKey, cancellation: Cancellation, progress: ProgressSink | None
    ) -> Imported:
        """Return a use of the environment for *key*, imported once while it stays among the last few."""
        with self._lock:
            found = self._kept.get(key)
            if found is None or found.lean is not lean:
                check(cancellation, "the import")
                found = self._kept.put(key, self._import_fresh(lean, key, progress))
            if self._pristine and self._snapshot is not None and key not in self._snapshot.kept:
                self.snapshot()  # no code of a source has run: the next one will find the import
            self._pristine = False
            return found.share()

    def _session_for(
        self,
        source: str,
        *,
        file: str = "<input>",
        options: ElabOptions | None = None,
        imports: Sequence[str | Import] | None = None,
        cancellation: Cancellation = None,
    ) -> tuple[Session, str]:
        """Return a session over what *source* imports, and *source* with blanks in place of its header.

        *imports* as for :meth:`check_source`. Raises :class:`~leanhost.errors.ElaborationError` for a source or
        a header that cannot be read, :class:`~leanhost.errors.ImportFailed`.
        """
        text = prepare(source, file)
        if isinstance(text, Diagnostic):
            raise ElaborationError(str(text), result=CommandResult((text,), (), (), 0, 0))
        lean = self._current
        header = self._headers.parse(lean, text, file)
        if any(d.is_error for d in header.diagnostics):
            result = CommandResult(header.diagnostics, (), (), 0, 0)
            raise ElaborationError(str(header.diagnostics[0]), result=result)
        environment = self._kept_import(lean, _key(header, imports), cancellation, None)
        head = text.encode("utf-8")[: header.end].decode("utf-8")
        blank = "".join("\n" if character == "\n" else " " for character in head)
        return Session._over(self, lean, environment, options or ElabOptions()), blank + text[len(head) :]

    def _whole_import(
        self,
        source: str,
        *,
        file: str = "<input>",
        imports: Sequence[str | Import] | None = None,
        cancellation: Cancellation = None,
    ) -> Imported:
        """Import what *source* imports, all of it even if the source is a ``module``; the caller closes it.

        Only the header of the source is read. Raises as :meth:`_session_for`.
        """
        lean = self._current
        header = self._headers.parse(lean, source, file)
        key = _key(header, imports)
        if key.is_module:
            key = ImportKey(tuple(map(Import, dict.fromkeys(each.module for each in key.imports))))
        return self._kept_import(lean, key, cancellation, None)

    def check_file(
        self,
        path: str | Path,
        *,
        options: ElabOptions | None = None,
        allow_axioms: Iterable[str] = (),
        imports: Sequence[str | Import] | None = None,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> CheckResult:
        """Check a file as it stands; see :meth:`check_source`. ``OSError`` when it cannot be read."""
        path = Path(path)
        with path.open("rb") as handle:
            text = decode_source(read(handle), str(path))
        if isinstance(text, Diagnostic):
            return Check(str(path), self.label).refused((text,))
        return self.check_source(
            text,
            file=str(path),
            options=options,
            allow_axioms=allow_axioms,
            imports=imports,
            timeout=timeout,
            cancellation=cancellation,
            progress=progress,
        )

    def check_source(
        self,
        source: str,
        *,
        file: str = "<input>",
        options: ElabOptions | None = None,
        allow_axioms: Iterable[str] = (),
        imports: Sequence[str | Import] | None = None,
        timeout: float | None = None,
        cancellation: Cancellation = None,
        progress: ProgressSink | None = None,
    ) -> CheckResult:
        """Check a whole source: its own header (``import``, ``module``, ``prelude``) decides the imports.

        *imports* are used instead of the implicit ``Init`` by a source that has no header of its own. The
        verdict is computed from the environment; see :class:`~leanhost.services.values.results.CheckResult`.
        *timeout* in seconds counts from the moment the imports are there.
        *progress* receives the phases ``import`` (modules; not when the environment is there already),
        ``elaborate`` (bytes of source, after each command) and ``kernel`` (declarations). A cancelled check
        has the status ``cancelled``.
        """
        call = CallContext(timeout, cancellation, progress, file)
        return self._check_source(source, call, options, allow_axioms, imports)

    def _check_source(
        self,
        source: str,
        call: CallContext,
        options: ElabOptions | None,
        allow_axioms: Iterable[str],
        imports: Sequence[str | Import] | None,
        imported: Callable[[], None] | None = None,
        accepted: Accepted | None = None,
    ) -> CheckResult:
        """:meth:`check_source`; *imported* is called once the imports are there.

        *accepted* is told of what the kernel accepted, before the verdict is given.
        """
        file, cancellation, progress = call.file, call.cancellation, call.progress
        toolchain = self.toolchain
        answer = Check(file, self.label, caveat(toolchain.version, toolchain.known_faults))
        options = options or ElabOptions()
        if call.timeout is not None:
            options = replace(options, timeout=call.timeout)
        text = prepare(source, file)
        if isinstance(text, Diagnostic):
            return answer.refused((text,))
        if cancellation is not None and cancellation.is_cancelled:
            return answer.cancelled()
        lean = self._current
        header = self._headers.parse(lean, text, file)
        if any(d.is_error for d in header.diagnostics):
            return answer.refused(header.diagnostics)
        try:
            environment = self._kept_import(lean, _key(header, imports), cancellation, progress)
        except Cancelled:
            return answer.cancelled(header.diagnostics)
        except ImportFailed as error:
            place = import_place(lean, text, file, error.module) if error.module else None
            start, end = place or (Position(1, 0), None)
            fault = Diagnostic(Severity.ERROR, str(error), start, end, file, error.code)
            return answer.refused((*header.diagnostics, fault))
        if imported is not None:
            imported()
        with Session._over(self, lean, environment, options) as session:
            result, judgement = session._judged(
                text,
                allowed=AllowedAxioms.of(allow_axioms),
                file=file,
                cancellation=cancellation,
                progress=progress,
                start=header.end,
                accepted=accepted,
            )
        return answer.judged(header.diagnostics, result, judgement, options)

    @property
    def label(self) -> str:
        """One line that names the Lean in use."""
        toolchain = self.toolchain
        return f"{toolchain.name} (Lean {toolchain.version}, {toolchain.platform})"

    def close(self) -> None:
        """Close this host's sessions and its engine; closing twice is fine.

        On wasm a running call ends with :class:`~leanhost.errors.ClosedError`; on native, whose Lean stays
        loaded until the process ends, it is finished first. In a fork of the process that opened it, which keeps
        it, nothing is done.
        """
        if self._life.is_foreign:  # like its locks, which threads of the parent may have held
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._life.over = "closed"
            guests = list(self._guests)
            kept, self._kept = self._kept, _imports()
            options = [ref for _, ref in self._options.values()]
            self._options.clear()
            self._last_options = None
        for guest in guests:
            guest.close()
        kept.clear()
        for ref in options:
            ref.close()
        self._opened.lean.engine.close()

    def __repr__(self) -> str:
        return f"<Host {self.label}{', closed' if self._closed else ''}>"


def _imports() -> Recent[ImportKey, Imported]:
    return Recent(KEPT_IMPORTS, Imported.close)


def _key(header: Header, imports: Sequence[str | Import] | None) -> ImportKey:
    """Return what a source imports: what its header says, or else *imports*, or else the implicit ``Init``."""
    wanted = header.imports if imports is None or header.written else parse_imports(imports)
    return ImportKey(wanted, header.is_module)
