"""The raw side of the native engine: the shared library, prototyped calls, object memory.

Nobody but the native engine reaches in here, and nothing else in leanhost imports :mod:`ctypes`.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from leanhost.engine.checks import check_arguments, check_symbol, no_element, no_field
from leanhost.engine.digits import digits
from leanhost.engine.values import (
    MAX_CTOR_TAG,
    TAG_ARRAY,
    TAG_CLOSURE,
    TAG_MPZ,
    TAG_SCALAR_ARRAY,
    TAG_STRING,
    Data,
    Node,
    Opaque,
)
from leanhost.errors import EngineError, ObjectTooLarge, UsageError

WORD = 8
HEADER = 8
MAX_BOXED = (1 << 63) - 1

_header = struct.Struct("<iHBB")
_word = struct.Struct("<Q")
_two_words = struct.Struct("<QQ")

CallbackType = Callable[..., int]

memory = (ctypes.c_uint64 * ((1 << 60) - 1)).from_address(0)
"""This process's memory as words: reading one is an index, several times cheaper than a ctypes call.

An object's header is the word at ``address >> 3``: the reference count in the low 32 bits, then 16 bits of size,
the number of object fields, the tag.
"""


def _find_current_cpu() -> Callable[[], int]:
    """Return ``sched_getcpu``, or a function that says -1 where threads cannot be moved."""
    function = getattr(ctypes.CDLL(None), "sched_getcpu", None)
    if function is None or not hasattr(os, "sched_setaffinity"):
        return lambda: -1
    return function  # type: ignore[no-any-return]


current_cpu = _find_current_cpu()
"""The processor the calling thread runs on, or -1 where that is of no use."""


def _words(n: int) -> struct.Struct:
    return struct.Struct(f"<{n}Q")


_words_cache = [_words(n) for n in range(32)]


class Library:
    """A loaded ``libleanshared`` with its runtime initialised; one for each process."""

    def __init__(self, path: Path) -> None:
        try:
            # RTLD_GLOBAL: Lean's interpreter finds compiled declarations with dlsym(RTLD_DEFAULT).
            self._lib = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise EngineError(
                f"cannot load {path}: {error}",
                hint="check that the file is a Lean 4 shared library for this machine and that its siblings are there",
            ) from None
        self.path = path
        self._functions: dict[tuple[str, int], Callable[..., int]] = {}
        self._callbacks: list[object] = []
        self._thread = threading.local()
        self._initialise()

    def _initialise(self) -> None:
        for name in ("lean_initialize_runtime_module", "lean_initialize"):
            function = self._lib[name]
            function.restype = None
            function()
        self._thread.ready = True
        self.function("lean_enable_initializer_execution", 0)()
        self._lib["lean_io_mark_end_initialization"]()
        self._retain = self.function("l_id___redArg", 1)
        self._release = self.function("l_ptrEq___redArg___boxed", 2)
        self._alloc = self.function("lean_alloc_object", 1)
        make_string = self._lib["lean_mk_string_from_bytes"]
        make_string.restype = ctypes.c_size_t
        make_string.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self._make_string = make_string

    def start_tasks(self) -> None:
        """Start Lean's task manager; needed before elaboration, and again in a forked child."""
        self._lib["lean_init_task_manager"]()

    def stop_tasks(self) -> None:
        """Wait for Lean's tasks and end the threads that ran them."""
        self._lib["lean_finalize_task_manager"]()

    def enter_thread(self) -> None:
        """Make the calling thread known to the runtime."""
        if not getattr(self._thread, "ready", False):
            self._lib["lean_initialize_thread"]()
            self._thread.ready = True

    # --- symbols and calls ---

    def has(self, symbol: str) -> bool:
        """Tell whether the library exports *symbol*."""
        try:
            self._lib[symbol]
        except AttributeError:
            return False
        return True

    def function(self, symbol: str, arity: int) -> Callable[..., int]:
        """Return *symbol* prototyped as a function of *arity* words that returns a word."""
        found = self._functions.get((symbol, arity))
        if found is None:
            check_arguments(symbol, arity)
            prototype = ctypes.CFUNCTYPE(ctypes.c_size_t, *[ctypes.c_size_t] * arity)
            found = self._functions[symbol, arity] = prototype(self.address(symbol))
        return found

    def address(self, symbol: str) -> int:
        """Return the address of an exported symbol; ``EngineError`` if there is none."""
        check_symbol(symbol)
        if not self.has(symbol):
            raise EngineError(f"{self.path} does not export {symbol}")
        value = ctypes.cast(self._lib[symbol], ctypes.c_void_p).value
        assert value is not None
        return value

    def constant(self, symbol: str) -> int:
        """Return the object a global variable points to (borrowed)."""
        check_symbol(symbol)
        if not self.has(symbol):
            raise EngineError(f"{self.path} does not export {symbol}")
        return ctypes.c_size_t.in_dll(self._lib, symbol).value

    def make_callback(self, arity: int, function: CallbackType) -> int:
        """Return the address of a C function of *arity* words; it lives as long as the library."""
        prototype = ctypes.CFUNCTYPE(ctypes.c_size_t, *[ctypes.c_size_t] * arity)
        thunk = prototype(function)
        self._callbacks.append(thunk)
        address = ctypes.cast(thunk, ctypes.c_void_p).value
        assert address is not None
        return address

    # --- references ---

    def retain(self, word: int) -> int:
        """Take one more reference to *word* (a no-op for scalars) and return it.

        A positive count means that the object belongs to the thread that holds the engine, so it is counted here;
        Lean's own function counts what is shared between threads (negative) or lives for ever (zero).
        """
        if not word & 1:
            at = word >> 3
            header = memory[at]
            if 0 < header & 0xFFFFFFFF < 0x7FFFFFFF:
                memory[at] = header + 1
            else:
                self._retain(word)
        return word

    def release(self, word: int) -> None:
        """Give one reference to *word* back; the last one frees the object."""
        if not word & 1:
            at = word >> 3
            header = memory[at]
            if 1 < header & 0xFFFFFFFF < 0x80000000:
                memory[at] = header - 1
            else:
                self._release(word, 1)

    def keep(self, word: int) -> int:
        """Make an owned object live for ever, uncounted, and return it."""
        if not word & 1:
            self.function("lean_mark_persistent", 1)(word)
        return word

    # --- building ---

    def string(self, data: bytes) -> int:
        """Make a Lean string from UTF-8 bytes."""
        return int(self._make_string(data, len(data)))

    def box(self, value: int) -> int:
        """Box a natural number; one that is too large for a scalar becomes a bignum."""
        if 0 <= value <= MAX_BOXED:
            return (value << 1) | 1
        if value < 0:
            raise UsageError(f"{value} is not a natural number")
        text = ctypes.create_string_buffer(digits(value).encode())
        return self.function("lean_cstr_to_nat", 1)(ctypes.addressof(text))

    def boxed_word(self, value: int) -> int:
        """Box a ``USize`` or a ``UInt64``."""
        if not 0 <= value < 1 << 64:
            raise UsageError(f"{value} does not fit 64 bits")
        return self.ctor(0, [], value.to_bytes(8, "little"))

    def ctor(self, tag: int, fields: list[int], scalars: bytes) -> int:
        """Build a constructor object; *fields* are given away."""
        n = len(fields)
        layout = _words_cache[n] if n < len(_words_cache) else _words(n)
        # Padded with zeros: nothing reads what an earlier object left in the memory.
        body = layout.pack(*fields) + scalars + bytes(-len(scalars) % WORD)
        size = HEADER + len(body)
        address = self._alloc(size)
        ctypes.memmove(address, _header.pack(1, size, n, tag) + body, size)
        return address

    def array(self, items: list[int]) -> int:
        """Build an ``Array`` of objects; *items* are given away."""
        n = len(items)
        address = self._alloc(24 + WORD * n)
        data = _header.pack(1, 0, 0, TAG_ARRAY) + _two_words.pack(n, n) + struct.pack(f"<{n}Q", *items)
        ctypes.memmove(address, data, len(data))
        return address

    def closure(self, function: int, arity: int, fixed: list[int]) -> int:
        """Build a closure over a C function pointer; *fixed* are given away."""
        n = len(fixed)
        size = 24 + WORD * n
        address = self._alloc(size)
        data = (
            _header.pack(1, size, 0, TAG_CLOSURE)
            + struct.pack("<QHHI", function, arity, n, 0)
            + struct.pack(f"<{n}Q", *fixed)
        )
        ctypes.memmove(address, data, len(data))
        return address

    # --- reading ---

    def tag(self, word: int) -> int:
        """Return the constructor tag of an object, or the value of a boxed scalar."""
        return word >> 1 if word & 1 else memory[word >> 3] >> 56

    def field(self, word: int, index: int) -> int:
        """Return a constructor's object field (borrowed)."""
        return memory[(word >> 3) + 1 + index]

    def checked_field(self, word: int, index: int) -> int:
        """Like :meth:`field`; ``EngineError`` when the value is no constructor with that many fields."""
        if not word & 1:
            at = word >> 3
            header = memory[at]
            if 0 <= index < header >> 48 & 0xFF and header >> 56 <= MAX_CTOR_TAG:
                return memory[at + 1 + index]
        raise no_field(index)

    def constructor(self, word: int) -> tuple[int, tuple[int, ...], bytes]:
        """Return the tag, the object fields (borrowed) and the scalar bytes of a constructor object."""
        if word & 1 or self.tag(word) > MAX_CTOR_TAG:
            raise EngineError("a Lean value is no constructor object")
        return self._body(word)

    def _body(self, word: int) -> tuple[int, tuple[int, ...], bytes]:
        at = word >> 3
        header = memory[at]
        count = header >> 48 & 0xFF
        start = HEADER + WORD * count
        rest = (header >> 32 & 0xFFFF) - start
        words = tuple(memory[at + 1 : at + 1 + count]) if count else ()
        return header >> 56, words, ctypes.string_at(word + start, rest) if rest > 0 else b""

    def size(self, word: int) -> int:
        """Return the number of elements of an ``Array`` of objects."""
        if word & 1 or self.tag(word) != TAG_ARRAY:
            raise EngineError("a Lean value is not an array")
        return memory[(word >> 3) + 1]

    def element(self, word: int, index: int) -> int:
        """Return an array's element (borrowed)."""
        if not 0 <= index < self.size(word):
            raise no_element(index)
        return memory[(word >> 3) + 3 + index]

    def fields(self, word: int) -> int:
        """Return how many object fields a constructor has (0 for a scalar)."""
        return 0 if word & 1 else memory[word >> 3] >> 48 & 0xFF

    def dump(self, root: int, limit: int) -> Data:
        """Copy the object graph under *root*; shared objects are copied once, depth is not limited."""
        if root & 1:
            return root >> 1
        seen: dict[int, Data] = {}
        pending: dict[int, tuple[int, Sequence[int], bytes]] = {}
        stack = [root]
        while stack:
            address = stack[-1]
            if address in seen:
                stack.pop()
                continue
            ready = pending.pop(address, None)
            if ready is None:
                if len(seen) + len(pending) >= limit:
                    raise ObjectTooLarge(f"a Lean value has more than {limit} objects")
                at = address >> 3
                tag = memory[at] >> 56
                if tag <= MAX_CTOR_TAG:
                    ready = self._body(address)
                elif tag == TAG_ARRAY:
                    ready = (tag, memory[at + 3 : at + 3 + memory[at + 1]], b"")
                else:
                    seen[address] = self._leaf(address, tag)
                    stack.pop()
                    continue
                missing = []
                for word in ready[1]:
                    if not word & 1 and word not in seen:
                        if memory[word >> 3] >> 56 == TAG_STRING:
                            seen[word] = self._text(word)
                        else:
                            missing.append(word)
                if len(seen) + len(pending) >= limit:
                    raise ObjectTooLarge(f"a Lean value has more than {limit} objects")
                if missing:
                    pending[address] = ready
                    stack.extend(reversed(missing))
                    continue
            tag, words, scalars = ready
            values = [word >> 1 if word & 1 else seen[word] for word in words]
            seen[address] = values if tag == TAG_ARRAY else Node(tag, tuple(values), scalars)
            stack.pop()
        return seen[root]

    def _text(self, address: int) -> str:
        size = memory[(address >> 3) + 1]
        return ctypes.string_at(address + 32, size - 1).decode("utf-8", "replace")

    def _leaf(self, address: int, tag: int) -> Data:
        """Copy an object that has no objects in it."""
        at = address >> 3
        if tag == TAG_STRING:
            return self._text(address)
        if tag == TAG_SCALAR_ARRAY:
            element = memory[at] >> 48 & 0xFF
            return ctypes.string_at(address + 24, memory[at + 1] * element)
        if tag == TAG_MPZ:
            # GMP's mpz_t: int alloc, int size (negative for a negative number), limbs.
            size = ctypes.c_int32.from_address(address + 12).value
            value = int.from_bytes(ctypes.string_at(memory[at + 2], abs(size) * WORD), "little")
            return -value if size < 0 else value
        return Opaque(tag)
