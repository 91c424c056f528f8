"""Frames between a pool and its workers: a length and a message, with what travels beside it. Nothing unbounded.

The worker end of the channel is trusted to be alive and no further: a candidate may have taken over its process.
JSON is many times larger once it is read than it was on the way, so what a reply may hold is bounded before it is
read. After the message come a payload, which is JSON that its receiver decodes when it knows the type, and a long
text, an export. A line feed and a zero byte set them off: the JSON that is written here has neither.
"""

from __future__ import annotations

import re
import socket
import struct
from array import array
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from leanhost.workers.protocol import codec
from leanhost.workers.protocol.codec import ProtocolError as ProtocolError

M = TypeVar("M")

LENGTH = struct.Struct("!I")
MAX_REQUEST_BYTES = 512 << 20
"""Largest frame a worker takes from its pool: JSON of the largest source."""
MAX_CONTROL_BYTES = 1 << 17
"""Largest packet between a pool and a zygote: its configuration."""
MAX_REPLY_BYTES = 16 << 20
"""Largest JSON a pool takes from a worker."""
MAX_REPLY_VALUES = 1 << 20
"""How many values that JSON may have."""
MAX_TEXT_BYTES = 64 << 20
"""Longest text a pool takes beside it, in UTF-8."""

_MARKS = (b",", b"[", b"{", b":")
_OTHER = bytes(set(range(256)) - set(b',[{:"'))
_QUOTED = re.compile(rb'"[^"]*"?')


class Frame(NamedTuple, Generic[M]):
    """A message, and what came beside it."""

    message: M
    payload: bytes = b""
    """JSON, not decoded yet; empty for none."""
    text: str | None = None


def pack(message: object, payload: bytes = b"", text: str | None = None, *, limit: int) -> bytes:
    """Encode one frame; :class:`ProtocolError` when it is over *limit* bytes."""
    body = join(message, payload, text)
    if len(body) > limit:
        raise ProtocolError(f"a message of {len(body)} bytes is over the limit of {limit}")
    return LENGTH.pack(len(body)) + body


def pack_reply(message: object, payload: bytes = b"", text: str | None = None) -> bytes:
    """Encode one frame for a pool; :class:`ProtocolError` when the pool would not take it."""
    body = join(message, payload, text)
    check_reply(body)
    return LENGTH.pack(len(body)) + body


def join(message: object, payload: bytes = b"", text: str | None = None) -> bytes:
    """Encode the body of a frame."""
    parts = [codec.encode(message)]
    if payload:
        parts += (b"\n", payload)
    if text is not None:
        parts += (b"\0", text.encode())
    return b"".join(parts) if len(parts) > 1 else parts[0]


def split(body: bytes | bytearray, wanted: Any) -> Frame[Any]:
    """Decode the body of a frame with a message of the type *wanted*."""
    end = body.find(0)
    text = None
    if end >= 0:
        try:
            text = str(memoryview(body)[end + 1 :], "utf-8")
        except UnicodeDecodeError as error:
            raise ProtocolError(f"a text is not UTF-8: {error}") from None
        body = body[:end]
    line = body.find(b"\n")
    if line < 0:
        return Frame(codec.decode(body, wanted), b"", text)
    return Frame(codec.decode(body[:line], wanted), bytes(memoryview(body)[line + 1 :]), text)


def check_reply(body: bytes | bytearray) -> None:
    """Raise :class:`ProtocolError` when reading *body* would cost a pool more than a reply may."""
    end = body.find(0)
    size = len(body) if end < 0 else end
    if size > MAX_REPLY_BYTES:
        raise ProtocolError(f"a message of {size} bytes is over the limit of {MAX_REPLY_BYTES}")
    if len(body) - size > MAX_TEXT_BYTES:
        raise ProtocolError(f"a text of {len(body) - size} bytes is over the limit of {MAX_TEXT_BYTES}")
    # There are no more values than bytes; counting with the insides of strings is quick, and nearly always enough.
    if (
        size > MAX_REPLY_VALUES
        and _marks(body, size) > MAX_REPLY_VALUES
        and _marks_outside(body[:size]) > MAX_REPLY_VALUES
    ):
        raise ProtocolError(f"a message of more than {MAX_REPLY_VALUES} values is over the limit")


def _marks(body: bytes | bytearray, end: int) -> int:
    """How many values there can be: each follows one of these marks."""
    return sum(body.count(mark, 0, end) for mark in _MARKS)


def _marks_outside(body: bytes | bytearray) -> int:
    """How many of them are in no string; so far as *body* is JSON, which is as far as it will be read."""
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _OTHER)
    strings = bare.count(b'"') // 2
    if strings > 2 * MAX_REPLY_VALUES:  # names and values
        return strings
    return len(bare) - sum(each.end() - each.start() for each in _QUOTED.finditer(bare))


class Unpacker(Generic[M]):
    """Cuts a stream of bytes into frames with messages of the type *wanted*.

    The bytes come from a worker, or with another *check* from a pool.
    """

    def __init__(
        self,
        wanted: Any,
        limit: int = MAX_REPLY_BYTES + MAX_TEXT_BYTES,
        check: Callable[[bytearray], None] | None = check_reply,
    ) -> None:
        self._wanted = wanted
        self._limit = limit
        self._check = check
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Frame[M]]:
        """Take bytes, return the frames they complete; :class:`ProtocolError` as soon as one cannot be right."""
        self._data += data
        found: list[Frame[M]] = []
        while len(self._data) >= LENGTH.size:
            size = LENGTH.unpack_from(self._data)[0]
            if size > self._limit:
                raise ProtocolError(f"a frame of {size} bytes is over the limit of {self._limit}")
            end = LENGTH.size + size
            if len(self._data) < end:
                break
            body = self._data[LENGTH.size : end]
            del self._data[:end]
            if self._check is not None:
                self._check(body)
            found.append(split(body, self._wanted))
        return found


def receive(channel: socket.socket, wanted: Any, limit: int = MAX_REQUEST_BYTES) -> Frame[Any] | None:
    """Wait for one frame on a blocking socket; ``None`` when the other end is closed."""
    head = _exactly(channel, LENGTH.size)
    if head is None:
        return None
    size = LENGTH.unpack(head)[0]
    if size > limit:
        raise ProtocolError(f"a frame of {size} bytes is over the limit of {limit}")
    body = _exactly(channel, size)
    return None if body is None else split(body, wanted)


def receive_packet(channel: socket.socket, descriptors: int) -> tuple[bytes, list[int]]:
    """Receive a packet and at most so many descriptors with it, none of which a program started later will have."""
    each = array("i").itemsize
    data, extra, _, _ = channel.recvmsg(
        MAX_CONTROL_BYTES, socket.CMSG_SPACE(descriptors * each), socket.MSG_CMSG_CLOEXEC
    )
    found = array("i")
    for level, kind, payload in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(payload[: len(payload) // each * each])
    return data, list(found)


def _exactly(channel: socket.socket, size: int) -> bytearray | None:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        try:
            count = channel.recv_into(view)
        except ConnectionError:
            return None
        if not count:
            return None
        view = view[count:]
    return data
