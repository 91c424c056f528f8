"""The pool's values as JSON and back; what comes from a worker is taken apart by type, not on trust."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from leanhost import errors
from leanhost.errors import LeanHostError, WorkerStartError
from leanhost.lean.core import Import
from leanhost.limit import Limit
from leanhost.services.values.options import ElabOptions
from leanhost.services.values.outcomes import ElabFailure
from leanhost.services.values.results import (
    CheckResult,
    CommandResult,
    Diagnostic,
    Position,
    Severity,
    Sorry,
    Status,
    Theorem,
)
from leanhost.toolchain import Toolchain
from leanhost.workers.protocol import encoding
from leanhost.workers.protocol.framing import Message, ProtocolError
from leanhost.workers.values.items import Asked, Request
from leanhost.workers.values.verification import Judgement, Refusal

_PATHS = ("sysroot", "library", "core", "glue", "node")


def toolchain_out(toolchain: Toolchain) -> Message:
    """Encode a toolchain."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(toolchain).items()}


def toolchain_in(message: Message) -> Toolchain:
    """Decode a toolchain (sent by the pool, so trusted)."""
    values: dict[str, Any] = {
        key: Path(value) if key in _PATHS and value is not None else value for key, value in message.items()
    }
    return Toolchain(**values)


def options_out(options: ElabOptions) -> Message:
    """Encode the limits of a pool's checks."""
    values = {
        name: getattr(options, name)
        for name in ("max_heartbeats", "max_rec_depth", "diagnostic_bytes", "timeout", "grace")
    }
    return {**values, "lean": dict(options.lean)}


def options_in(message: Message) -> ElabOptions:
    """Decode the limits of a pool's checks."""
    return ElabOptions(**message)


def imports_out(imports: tuple[Import, ...] | None) -> list[list[Any]] | None:
    """Encode an ordered set of imports."""
    return None if imports is None else [[list(i.module), i.all_, i.exported, i.meta] for i in imports]


def imports_in(value: list[list[Any]] | None) -> tuple[Import, ...] | None:
    """Decode an ordered set of imports."""
    return None if value is None else tuple(Import(tuple(m), a, e, x) for m, a, e, x in value)


def request_out(request: Request) -> Message:
    """Encode a request."""
    return {
        "source": request.source,
        "file": request.file,
        "imports": imports_out(request.imports),
        "allow_axioms": list(request.allow_axioms),
        "timeout": request.timeout,
        "asked": asdict(request.asked),
    }


def request_in(message: Message) -> Request:
    """Decode a request."""
    asked: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in message["asked"].items()
    }
    return Request(
        message["source"],
        message["file"],
        imports_in(message["imports"]),
        tuple(message["allow_axioms"]),
        message["timeout"],
        asked=Asked(**asked),
    )


def result_out(result: CheckResult) -> Message:
    """Encode a verdict."""
    return {**result.to_json(), "elapsed_s": result.elapsed}


def result_in(message: object, file: str, stdout: str = "", stderr: str = "") -> CheckResult:
    """Decode a verdict about *file*; :class:`ProtocolError` unless every part has its type.

    *stdout* and *stderr* are what came on those; a verdict has nothing to say about them.
    """
    try:
        value = _dict(message)
        status = Status(_str(value["status"]))
        return CheckResult(
            file=file,
            status=status,
            diagnostics=tuple(_diagnostic(d) for d in _list(value["diagnostics"])),
            theorems=tuple(_theorem(t) for t in _list(value["theorems"])),
            sorries=tuple(Sorry(_str(s)) for s in _list(value["sorries"])),
            reasons=tuple(map(_str, _list(value["reasons"]))),
            elapsed=encoding.into(float, value["elapsed_s"]),
            toolchain=_str(value["toolchain"]),
            caveats=tuple(map(_str, _list(value["caveats"]))),
            stdout=stdout,
            stderr=stderr,
        )
    except (KeyError, ValueError) as error:
        raise ProtocolError(f"a verdict is malformed: {error!r}") from None


def _diagnostic(value: object) -> Diagnostic:
    d = _dict(value)
    return Diagnostic(
        Severity(_str(d["severity"])),
        _str(d["message"]),
        Position(_int(d["line"]), _int(d["column"])),
        _position(d["end_line"], d["end_column"]),
        _str(d["file"]),
        _str(d["kind"]),
    )


def _theorem(value: object) -> Theorem:
    t = _dict(value)
    axioms = tuple(map(_str, _list(t["axioms"])))
    return Theorem(
        _str(t["name"]), _str(t["kind"]), _str(t["type"]), axioms, _position(t["line"], t["column"])
    )


def _position(line: object, column: object) -> Position | None:
    return None if line is None else Position(_int(line), _int(column))


def _dict(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ProtocolError(f"expected an object, not {type(value).__name__}")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ProtocolError(f"expected an array, not {type(value).__name__}")
    return value


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise ProtocolError(f"expected a string, not {type(value).__name__}")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ProtocolError(f"expected a number, not {type(value).__name__}")
    return value


def judgement_out(judgement: Judgement) -> Message:
    """Encode what a judge found."""
    return {
        "refusals": [[r.code, r.name, r.message] for r in judgement.refusals],
        "holes": list(judgement.holes),
        "disproved": list(judgement.disproved),
    }


def judgement_in(value: object) -> Judgement:
    """Decode what a judge found; :class:`ProtocolError` unless every part has its type."""
    found = _dict(value)
    rows = [_list(row) for row in _list(found.get("refusals"))]
    if any(len(row) != 3 for row in rows):
        raise ProtocolError("a refusal has three parts")
    refusals = tuple(Refusal(_str(code), _str(name), _str(text)) for code, name, text in rows)
    holes, disproved = (tuple(map(_str, _list(found.get(part)))) for part in ("holes", "disproved"))
    return Judgement(refusals, holes, disproved)


def error_out(error: BaseException) -> Message:
    """Encode why a worker could not start, or what a call of a session raised."""
    if isinstance(error, LeanHostError):
        more: Message = {}
        if isinstance(error, errors.ElaborationError):
            more["result"] = encoding.out(error.result)
        elif isinstance(error, errors.MetaError):
            more["limit"] = error.limit
        return {"code": error.code, "message": error.message, "hint": error.hint, **more}
    return {"code": WorkerStartError.code, "message": f"{type(error).__name__}: {error}", "hint": ""}


def error_in(message: object) -> LeanHostError:
    """Rebuild a worker's error under its own class, or as :class:`WorkerStartError`."""
    value = _dict(message)
    code, text, hint = _str(value.get("code")), _str(value.get("message")), _str(value.get("hint"))
    known = {
        cls.code: cls
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, LeanHostError)
    }
    cls = known.get(code, WorkerStartError)
    if cls is errors.ElaborationError:
        result = encoding.into(CommandResult | ElabFailure, value.get("result"))
        return errors.ElaborationError(text, result=result, hint=hint)
    if cls is errors.MetaError:
        return errors.MetaError(text, limit=encoding.into(Limit | None, value.get("limit")), hint=hint)
    return cls(text, hint=hint)
