"""Turn the WebAssembly Lean's JavaScript glue into a small module that loads quickly.

The published ``lean.js`` is one 89 MB line, nearly all of it ``_f=Module["_f"]=wasmExports["f"]`` for each of
the 200,000 exports; reading it costs seconds, and so do the loops it runs over all exports.
:func:`prepare_glue` writes a file of under a megabyte that does the same work for the few dozen names
which the glue itself uses, and looks up all others when asked for.

The result is a CommonJS module exporting ``start(Module)``, which runs the glue and fills ``Module.leanhost``
with accessors to the internals that ``engine/wasm/host.js`` needs.
"""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path

from leanhost.errors import ToolchainCorrupt

_ASSIGN_START = b"function assignWasmExports(wasmExports){"
_NAME = re.compile(rb"[A-Za-z_$][\w$]*")
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")
_STATEMENT = re.compile(rb'([\w$]+)=Module\["[\w$]+"\]=wasmExports\["[^"]+"\](?:\.value)?')

_EXPOSED = (
    "FS",
    "NODEFS",
    "ExitStatus",
    "addFunction",
    "convertJsFunctionToWasm",
    "getWasmTableEntry",
)
_LIVE = ("wasmExports", "wasmMemory", "wasmTable", "wasmTableMirror", "wasmImports", "freeTableIndexes")

# (what the published glue says, what the prepared one says). Each must occur exactly once.
_EDITS: tuple[tuple[str, str], ...] = (
    # No workers are started: Lean runs on one thread and is told so.
    ("var pthreadPoolSize=4;", "var pthreadPoolSize=0;"),
    (
        "var spawnThread=threadParams=>{",
        'var spawnThread=threadParams=>{if(Module["onThread"])return Module["onThread"](threadParams);',
    ),
    # All exports are visible to symbol lookup by inheritance instead of by 200,000 assignments.
    ('mergeLibSymbols(wasmExports,"main");', "Object.setPrototypeOf(wasmImports,wasmExports);"),
    # Only what the module imports through its global offset table needs a slot now; dlsym makes the rest.
    (
        "var updateGOT=(exports,replace)=>{for(var symName in exports){if(isInternalSym(symName)){continue}",
        "var updateGOT=(exports,replace)=>{for(var symName in GOT){"
        "if(!(symName in exports)||isInternalSym(symName)){continue}",
    ),
    # A function may sit in two slots; finding the first would mean reading the whole table.
    ("functionsInTableMap=new WeakMap;updateTableMap(0,wasmTable.length)", "functionsInTableMap=new WeakMap"),
    # One growth for many slots.
    (
        'return wasmTable["grow"](1)};',
        'var first=wasmTable["grow"](1024);'
        "for(var i=1023;i>0;i--)freeTableIndexes.push(first+i);return first};",
    ),
    # A packed mirror of the table: `invoke_*` reads it for every protected C++ call.
    (
        "updateGOT(origExports);",
        "wasmTableMirror=new Array(wasmTable.length).fill(undefined);updateGOT(origExports);",
    ),
    # A symbol's slot or address is found in the names of the prepared module.
    (
        "newSymIndex=Object.keys(lib.exports).indexOf(symbol);if(newSymIndex==-1||lib.exports[symbol].stub){",
        'result=Module["addressOf"](symbol);if(result!==undefined)return result;{',
    ),
    # With one thread, nothing can signal a condition: the host is told of a wait that would never end.
    (
        "wasmTableMirror[funcPtr]=func=wasmTable.get(funcPtr)}",
        'func=wasmTable.get(funcPtr);if(func===wasmExports["pthread_cond_wait"]&&Module["onWait"])'
        'func=Module["onWait"];wasmTableMirror[funcPtr]=func}',
    ),
    # Node's permission model refuses `process.binding`.
    ('var flags=process.binding("constants")["fs"];', "var flags=fs.constants;"),
    # The host can keep a slot's former value, to put it back.
    (
        "var setWasmTableEntry=(idx,func)=>{",
        'var setWasmTableEntry=(idx,func)=>{if(Module["onSlot"])Module["onSlot"](idx,wasmTable.get(idx));',
    ),
    # A memory limit of our own, and a mark when it is reached.
    ("var getHeapMax=()=>2147483648;", 'var getHeapMax=()=>Module["heapMax"]||2147483648;'),
    (
        "if(requestedSize>maxHeapSize){return false}",
        'if(requestedSize>maxHeapSize){Module["outOfMemory"]=true;return false}',
    ),
)

_MAIN = "var wasmExports;if(!ENVIRONMENT_IS_PTHREAD){createWasm();run()}"


def prepare_glue(lean_js: Path, out: Path) -> None:
    """Write the prepared form of *lean_js* to *out* (atomically; same input, same bytes).

    Raises :class:`~leanhost.errors.ToolchainCorrupt` when *lean_js* is not the glue this was written for.
    """
    try:
        with lean_js.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            prepared = _prepare(text)
    except (OSError, ValueError) as error:
        raise ToolchainCorrupt(f"cannot read {lean_js}: {error}", hint=_HINT) from error
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        temporary.write_text(prepared, encoding="utf-8")
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


_HINT = "the embedded toolchain is damaged or another release; reinstall it"


def _prepare(text: mmap.mmap) -> str:
    start = text.find(_ASSIGN_START)
    end = text.find(b"}", start)
    declarations = text.rfind(b"var ", 0, start) if start >= 0 else -1
    if start < 0 or end < 0 or declarations < 0:
        raise _unexpected("the list of exports")
    before, after = text[:declarations], text[end + 1 :]
    declared = text[declarations + 4 : start].rstrip(b";").split(b",")
    wanted = set(_NAME.findall(before)) | set(_NAME.findall(after))
    kept = [name for name in declared if name in wanted]
    statements = _statements(text[start + len(_ASSIGN_START) : end], frozenset(kept))
    glue = "".join(
        (
            before.decode(),
            f"var {b','.join(kept).decode()};",
            f"function assignWasmExports(wasmExports){{{';'.join(statements)}}}",
            after.decode(),
        )
    )
    for old, new in _EDITS:
        glue = _replace(glue, old, new)
    return _replace(_wrap(glue), _MAIN, _main(_variables(glue)))


def _statements(body: bytes, kept: frozenset[bytes]) -> list[str]:
    """Return the assignments to *kept*, and every statement that is not one of the generated ones."""
    result = []
    for statement in body.split(b";"):
        match = _STATEMENT.fullmatch(statement)
        if match is None or match[1] in kept:
            result.append(statement.decode())
    if len(result) > 1000:
        raise _unexpected("assignments of exports in a known form")
    return result


def _replace(glue: str, old: str, new: str) -> str:
    if glue.count(old) != 1:
        raise _unexpected(repr(old))
    return glue.replace(old, new)


def _unexpected(what: str) -> ToolchainCorrupt:
    return ToolchainCorrupt(f"lean.js does not have the expected text: {what}", hint=_HINT)


def _wrap(glue: str) -> str:
    # Inside a function `var Module=typeof Module...` keeps the parameter; elsewhere it would be undefined.
    return f"module.exports=function start(Module){{{glue}\n}};\n"


_TOKEN = re.compile(
    r"""
      "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `(?:\\.|[^`\\])*`
    | (?<=[=(,:!?&|;{}\[])/(?![/*])(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\[\n])+/
    | [(){}\[\];,]
    | (?<![\w$.])(?:var|let)\s+(?=[\w$]+)
    """,
    re.VERBOSE,
)


def _variables(glue: str) -> list[str]:
    """Return the glue's own variables, those outside of all functions."""
    found: list[str] = []
    depth, declaring = 0, False
    for token in _TOKEN.finditer(glue):
        text = token[0]
        if text in ("(", "{", "["):
            depth += 1
        elif text in (")", "}", "]"):
            depth -= 1
        elif depth == 0 and text == ";":
            declaring = False
        elif depth == 0 and (text[:3] in ("var", "let") or (declaring and text == ",")):
            declaring = True
            if name := _IDENTIFIER.match(glue, token.end()):
                found.append(name[0])
    if depth != 0 or not {"ABORT", "FS", "GOT", "freeTableIndexes"} <= set(found):
        raise _unexpected("the variables of the glue")
    return list(dict.fromkeys(found))


def _main(variables: list[str]) -> str:
    """Return the last statements: what the host is given, with all the glue's variables to keep and put back."""
    members = list(_EXPOSED) + [f"get {name}(){{return {name}}}" for name in _LIVE]
    members += [
        f"get variables(){{return[{','.join(variables)}]}}",
        f"set variables(values){{[{','.join(variables)}]=values}}",
    ]
    return f'var wasmExports;Module["leanhost"]={{{",".join(members)}}};createWasm();run()'
