"""Frames between a pool and its workers: a length, then JSON; nothing unbounded, nothing executable.

The worker end of the channel is trusted to be alive and no further: a candidate may have taken over its process.
"""

from __future__ import annotations

import json
import socket
import struct
from array import array
from typing import Any, TypeAlias

from leanhost.errors import WorkerError

Message: TypeAlias = dict[str, Any]

LENGTH = struct.Struct("!I")
MAX_REQUEST_BYTES = 512 << 20
"""Largest frame a worker takes from its pool: JSON of the largest source."""
MAX_CONTROL_BYTES = 1 << 17
"""Largest packet between a pool and a zygote: its configuration."""
MAX_REPLY_BYTES = 64 << 20
"""Largest frame a pool takes from a worker."""


class ProtocolError(WorkerError):
    """The other end sent something that is no frame of this protocol."""

    code = "leanhost.worker.protocol"


def pack(message: Message, limit: int) -> bytes:
    """Encode one frame; :class:`ProtocolError` when it is over *limit* bytes."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    if len(body) > limit:
        raise ProtocolError(f"a message of {len(body)} bytes is over the limit of {limit}")
    return LENGTH.pack(len(body)) + body


def unpack(body: bytes | bytearray) -> Message:
    """Decode a frame's body: a JSON object."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a frame is no JSON: {error}") from None
    if not isinstance(message, dict):
        raise ProtocolError("a frame is no JSON object")
    return message


class Unpacker:
    """Cuts a stream of bytes into messages."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
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
            found.append(unpack(self._data[LENGTH.size : end]))
            del self._data[:end]
        return found


def receive(channel: socket.socket, limit: int = MAX_REQUEST_BYTES) -> Message | None:
    """Wait for one frame on a blocking socket; ``None`` when the other end has gone."""
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
