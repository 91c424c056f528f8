"""Frames between a pool and its workers: a length, then JSON; nothing unbounded, nothing executable.

The worker end of the channel is trusted to be alive and no further: a candidate may have taken over its process.
JSON is many times larger once it is read than it was on the way. So what a reply may hold is bounded before it is
read, and a long text, an export, travels beside the JSON: after it and a zero byte, which JSON never has.
"""

from __future__ import annotations

import json
import re
import socket
import struct
from array import array
from collections.abc import Callable
from typing import Any, TypeAlias

from leanhost.errors import WorkerError

Message: TypeAlias = dict[str, Any]

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

# Made once: `json.dumps` with arguments makes an encoder for each message.
_DECODER = json.JSONDecoder()
_ENCODER = json.JSONEncoder(separators=(",", ":"))

_MARKS = (b",", b"[", b"{", b":")
_OTHER = bytes(set(range(256)) - set(b',[{:"'))
_QUOTED = re.compile(rb'"[^"]*"?')


class ProtocolError(WorkerError):
    """The other end sent something that is no frame of this protocol."""

    code = "leanhost.worker.protocol"


def pack(message: Message, limit: int) -> bytes:
    """Encode one frame; :class:`ProtocolError` when it is over *limit* bytes.

    The ``str`` under the key ``text``, if there is one, travels beside the JSON.
    """
    body = _encode(message)
    if len(body) > limit:
        raise ProtocolError(f"a message of {len(body)} bytes is over the limit of {limit}")
    return LENGTH.pack(len(body)) + body


def pack_reply(message: Message) -> bytes:
    """Encode one frame for a pool; :class:`ProtocolError` when the pool would not take it."""
    body = _encode(message)
    check_reply(body)
    return LENGTH.pack(len(body)) + body


def _encode(message: Message) -> bytes:
    text = message.get("text")
    if isinstance(text, str):
        message = {key: value for key, value in message.items() if key != "text"}
    body = _ENCODER.encode(message).encode("ascii")
    return body + b"\0" + text.encode() if isinstance(text, str) else body


def unpack(body: bytes | bytearray) -> Message:
    """Decode a frame's body: a JSON object, and the text beside it."""
    end = body.find(0)
    try:
        text = str(body if end < 0 else body[:end], "utf-8")
        message, read = _DECODER.raw_decode(text)
        if read != len(text):
            raise ProtocolError("a frame is more than one JSON value")
        if not isinstance(message, dict):
            raise ProtocolError("a frame is no JSON object")
        if end >= 0:
            message["text"] = str(memoryview(body)[end + 1 :], "utf-8")
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a frame is no JSON: {error}") from None
    return message


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


class Unpacker:
    """Cuts the stream of bytes that comes from a worker into messages, or with another *check* from a pool."""

    def __init__(
        self,
        limit: int = MAX_REPLY_BYTES + MAX_TEXT_BYTES,
        check: Callable[[bytearray], None] | None = check_reply,
    ) -> None:
        self._limit = limit
        self._check = check
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes, return the messages they complete; :class:`ProtocolError` as soon as one cannot be right."""
        self._data += data
        found: list[Message] = []
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
            found.append(unpack(body))
        return found


def receive(channel: socket.socket, limit: int = MAX_REQUEST_BYTES) -> Message | None:
    """Wait for one frame on a blocking socket; ``None`` when the other end is closed."""
    head = _exactly(channel, LENGTH.size)
    if head is None:
        return None
    size = LENGTH.unpack(head)[0]
    if size > limit:
        raise ProtocolError(f"a frame of {size} bytes is over the limit of {limit}")
    body = _exactly(channel, size)
    return None if body is None else unpack(body)


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
