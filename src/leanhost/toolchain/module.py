"""Turn the WebAssembly Lean into a module that instantiates quickly.

The published ``lean.wasm`` exports its 200,000 functions and data addresses one by one, and V8 makes an object of each
in every process: that is most of the time an instantiation takes. :func:`prepare_module` keeps the few exports that
the glue itself uses. All other functions get a slot in the function table, which costs next to nothing, and a custom
section maps names to slots and addresses. Code and data are copied as they are.

The names section, little-endian, holds a count, then for each name in byte order a record (the end of the name in the
text that follows, its kind, its value), then the text of all names. ``engine/wasm/symbols.js`` reads it.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from leanhost.errors import ToolchainCorrupt

NAMES_SECTION = "leanhost.names"
FUNCTION, ADDRESS = 0, 1
"""Kinds of names: the value is a slot of the table, or an address in memory."""

_CUSTOM, _IMPORT, _TABLE, _GLOBAL, _EXPORT, _ELEMENT = 0, 2, 4, 6, 7, 9
_FUNC, _TABLE_KIND, _MEMORY, _GLOBAL_KIND, _TAG = range(5)
_I32_CONST, _END = 0x41, 0x0B
_RECORD = struct.Struct("<IBI")
_USED = re.compile(r'wasmExports\["([^"]+)"\]')
_HINT = "the embedded toolchain is damaged or another release; reinstall it"


class _Malformed(Exception):
    """The module is not what this was written for."""


def used_exports(glue: str) -> frozenset[str]:
    """Return the exports that a prepared glue uses itself."""
    return frozenset(_USED.findall(glue))


def prepare_module(wasm: Path, out: Path, keep: Collection[str]) -> None:
    """Write the prepared form of *wasm* to the new file *out*; the same input gives the same bytes.

    Exports named in *keep*, and those that the module also imports through its global offset table, stay. Raises
    :class:`~leanhost.errors.ToolchainCorrupt` when *wasm* is not the module this was written for.
    """
    try:
        with wasm.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            parts = _prepared(data, frozenset(name.encode() for name in keep))
            with out.open("xb") as target:
                for part in parts:
                    target.write(part)
                target.flush()
                os.fsync(target.fileno())
    except (OSError, ValueError) as error:
        raise ToolchainCorrupt(f"cannot read {wasm}: {error}", hint=_HINT) from error
    except (_Malformed, IndexError) as error:
        raise ToolchainCorrupt(f"{wasm} is not the expected module: {error}", hint=_HINT) from error


def _prepared(data: mmap.mmap, keep: frozenset[bytes]) -> Iterator[bytes]:
    if data[:8] != b"\0asm\1\0\0\0":
        raise _Malformed("no WebAssembly of version 1")
    sections = list(_sections(data))
    at = {kind: (start, end) for kind, start, end in sections if kind != _CUSTOM}
    for kind in (_IMPORT, _TABLE, _GLOBAL, _EXPORT, _ELEMENT):
        if kind not in at:
            raise _Malformed(f"no section {kind}")
    offsets, imported_globals = _imports(data, *at[_IMPORT])
    addresses = _constants(data, *at[_GLOBAL], imported_globals)
    size, table = _table(data, *at[_TABLE])
    slots = _slots(data, *at[_ELEMENT], size)
    kept: list[bytes] = []
    names: list[tuple[bytes, int, int]] = []
    added: list[int] = []
    for name, kind, index, raw in _exports(data, *at[_EXPORT]):
        if kind == _FUNC:
            slot = slots.get(index)
            if slot is None:
                slot = slots[index] = size + len(added)
                added.append(index)
            names.append((name, FUNCTION, slot))
        elif kind == _GLOBAL_KIND and index in addresses:
            names.append((name, ADDRESS, addresses[index]))
        else:
            kept.append(raw)
            continue
        if name in keep or name in offsets:
            kept.append(raw)
    replaced = {
        _TABLE: table(size + len(added)),
        _EXPORT: _vector(kept),
        _ELEMENT: _with_segment(data, *at[_ELEMENT], size, added),
    }
    return _assembled(data, sections, replaced, _names(names))


def _assembled(
    data: mmap.mmap, sections: list[tuple[int, int, int]], replaced: dict[int, bytes], names: bytes
) -> Iterator[bytes]:
    yield data[:8]
    for kind, start, end in sections:
        body = replaced.get(kind)
        size = end - start if body is None else len(body)
        yield bytes((kind,)) + _number(size)
        if body is not None:
            yield body
        else:
            step = 1 << 20
            for here in range(start, end, step):
                yield data[here : min(here + step, end)]
    title = NAMES_SECTION.encode()
    header = _number(len(title)) + title
    yield bytes((_CUSTOM,)) + _number(len(header) + len(names)) + header
    yield names


def _names(names: list[tuple[bytes, int, int]]) -> bytes:
    names.sort()
    records, end = [struct.pack("<I", len(names))], 0
    for name, kind, value in names:
        end += len(name)
        records.append(_RECORD.pack(end, kind, value))
    return b"".join(records) + b"".join(name for name, _, _ in names)


# --- reading --------------------------------------------------------------------------------------


def _read(data: mmap.mmap, at: int) -> tuple[int, int]:
    """Return an unsigned LEB128 number and the position after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _text(data: mmap.mmap, at: int) -> tuple[bytes, int]:
    size, at = _read(data, at)
    return data[at : at + size], at + size


def _sections(data: mmap.mmap) -> Iterator[tuple[int, int, int]]:
    at = 8
    while at < len(data):
        kind = data[at]
        size, start = _read(data, at + 1)
        at = start + size
        if at > len(data):
            raise _Malformed("a section is longer than the file")
        yield kind, start, at


def _limits(data: mmap.mmap, at: int) -> int:
    flags = data[at]
    _, at = _read(data, at + 1)
    return _read(data, at)[1] if flags & 1 else at


def _imports(data: mmap.mmap, at: int, end: int) -> tuple[frozenset[bytes], int]:
    """Return the names imported through the global offset table, and how many globals are imported."""
    count, at = _read(data, at)
    offsets, globals_ = set(), 0
    for _ in range(count):
        module, at = _text(data, at)
        name, at = _text(data, at)
        kind = data[at]
        at += 1
        if kind == _FUNC:
            _, at = _read(data, at)
        elif kind == _TABLE_KIND:
            at = _limits(data, at + 1)
        elif kind == _MEMORY:
            at = _limits(data, at)
        elif kind == _GLOBAL_KIND:
            at += 2
            globals_ += 1
            if module.startswith(b"GOT."):
                offsets.add(name)
        elif kind == _TAG:
            _, at = _read(data, at + 1)
        else:
            raise _Malformed(f"an import of kind {kind}")
    if at != end:
        raise _Malformed("the imports do not end with their section")
    return frozenset(offsets), globals_


def _constants(data: mmap.mmap, at: int, end: int, first: int) -> dict[int, int]:
    """Return the values of the immutable ``i32`` globals, by index."""
    count, at = _read(data, at)
    found: dict[int, int] = {}
    for index in range(first, first + count):
        mutable = data[at + 1]
        if data[at] != 0x7F or data[at + 2] != _I32_CONST:
            raise _Malformed("a global that is not an i32 constant")
        value, after = _read(data, at + 3)
        bits = 7 * (after - at - 3)
        if data[after] != _END:
            raise _Malformed("a global that is not an i32 constant")
        if value >> (bits - 1):  # the number is signed
            value -= 1 << bits
        at = after + 1
        if not mutable:
            found[index] = value & 0xFFFFFFFF
    if at != end:
        raise _Malformed("the globals do not end with their section")
    return found


def _table(data: mmap.mmap, at: int, end: int):  # type: ignore[no-untyped-def]
    """Return the size of the one function table, and what writes its section with another size."""
    count, at = _read(data, at)
    if count != 1 or data[at] != 0x70 or data[at + 1] != 0:
        raise _Malformed("not one growing table of functions")
    size, at = _read(data, at + 2)
    if at != end:
        raise _Malformed("the table does not end with its section")
    return size, lambda wanted: b"\x01\x70\x00" + _number(wanted)


def _slots(data: mmap.mmap, at: int, end: int, size: int) -> dict[int, int]:
    """Return the slot of each function that the one active segment puts into the table."""
    count, at = _read(data, at)
    flags, at = _read(data, at)
    if count != 1 or flags != 0 or data[at] != _I32_CONST:
        raise _Malformed("not one active segment of functions")
    first, at = _read(data, at + 1)
    if data[at] != _END:
        raise _Malformed("a segment at a computed place")
    count, at = _read(data, at + 1)
    slots: dict[int, int] = {}
    for slot in range(first, first + count):
        function, at = _read(data, at)
        slots.setdefault(function, slot)
    if at != end or first + count > size:
        raise _Malformed("the segment does not fit")
    return slots


def _exports(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[bytes, int, int, bytes]]:
    """Yield name, kind and index of each export, and its encoded form."""
    count, at = _read(data, at)
    for _ in range(count):
        start = at
        name, at = _text(data, at)
        kind = data[at]
        index, at = _read(data, at + 1)
        yield name, kind, index, data[start:at]
    if at != end:
        raise _Malformed("the exports do not end with their section")


# --- writing --------------------------------------------------------------------------------------


def _number(value: int) -> bytes:
    """Return *value* as unsigned LEB128."""
    out = bytearray()
    while True:
        byte = value & 127
        value >>= 7
        if not value:
            out.append(byte)
            return bytes(out)
        out.append(byte | 128)


def _signed(value: int) -> bytes:
    """Return the natural number *value* as signed LEB128."""
    out = bytearray()
    while True:
        byte = value & 127
        value >>= 7
        if not value and not byte & 64:
            out.append(byte)
            return bytes(out)
        out.append(byte | 128)


def _vector(items: Collection[bytes]) -> bytes:
    return _number(len(items)) + b"".join(items)


def _with_segment(data: mmap.mmap, at: int, end: int, first: int, functions: Iterable[int]) -> bytes:
    """Return the element section with one more active segment that begins at slot *first*."""
    _, body = _read(data, at)
    items = [_number(function) for function in functions]
    segment = b"\x00" + bytes((_I32_CONST,)) + _signed(first) + bytes((_END,)) + _vector(items)
    return b"\x02" + data[body:end] + segment
