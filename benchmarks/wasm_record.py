"""Recording what crosses the pipe to a wasm engine, so that it can be played again without Python."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leanhost.engine.wasm import child as child_module
from leanhost.engine.wasm import wire
from leanhost.engine.wasm.child import Child
from leanhost.engine.wasm.mounts import Scratch

REPLAY = Path(__file__).with_name("wasm_replay.js")


class Recorder:
    """The frames of the first engine opened under :meth:`watching`, in the order they were exchanged."""

    def __init__(self) -> None:
        self.exchanges: list[tuple[bytes, bytes]] = []
        self.node = Path()
        self.config: dict[str, Any] = {}
        self.on = True

    @contextmanager
    def watching(self) -> Iterator[Recorder]:
        """Record while the block runs."""
        init, send, receive = Child.__init__, Child.send, Child.receive
        recorder = self
        sent: list[bytes] = []

        def recording_init(
            child: Child,
            node: Path,
            config: dict[str, object],
            scratch: Scratch,
            inherited: Sequence[int] = (),
        ) -> None:
            recorder.node, recorder.config = node, dict(config)
            init(child, node, config, scratch, inherited)

        def recording_send(child: Child, frame: bytes, tick: Callable[[], float]) -> None:
            if recorder.on:
                sent.append(frame)
            send(child, frame, tick)

        def recording_receive(child: Child, limit: int, tick: Callable[[], float]) -> bytes:
            frame = receive(child, limit, tick)
            if recorder.on and sent:
                recorder.exchanges.append((sent.pop(), frame))
            return frame

        patched: Any = Child
        patched.__init__, patched.send, patched.receive = recording_init, recording_send, recording_receive
        try:
            yield self
        finally:
            patched.__init__, patched.send, patched.receive = init, send, receive

    def write(self, path: Path, loop: tuple[int, int]) -> None:
        """Write the exchanges up to ``loop[1]``; those from ``loop[0]`` on are one run, to be repeated.

        The run before the loop must be the same one: a word that comes from it is named relative to the loop.
        """
        start, end = loop
        before = 2 * start - end
        source: dict[int, tuple[int, int]] = {}
        frames = []
        for number, (sent, received) in enumerate(self.exchanges[:end]):
            patches = []
            for offset in words_in(sent):
                word = int.from_bytes(sent[offset : offset + 4], "little")
                if word in source:
                    origin, index = source[word]
                    relative = number >= start and origin >= before
                    patches.append((offset, origin - number if relative else origin, index))
            frames.append({"bytes": base64.b64encode(sent).decode(), "patches": patches})
            for index, word in enumerate(_words_of(sent, received)):
                if word and not word & 1:
                    source[word] = (number, index)
        path.write_text(json.dumps({"frames": frames, "loopStart": start, "loopEnd": end}))


class Replay:
    """A Node process that plays a record: once at its start, then as often as it is asked to."""

    def __init__(self, recorder: Recorder, record: Path) -> None:
        host = child_module.HOST
        config = {**recorder.config, "record": str(record), "host": str(host)}
        self._scratch = Scratch(None)
        try:
            child_module.HOST = REPLAY
            self._child = Child(recorder.node, config, self._scratch)
        finally:
            child_module.HOST = host
        self._answer()

    def _answer(self) -> list[float]:
        try:
            frame = self._child.receive(1 << 24, lambda: 60.0)
        except child_module.ChildGone:
            raise SystemExit(f"the replay ended: {self._child.output()[-2000:]}") from None
        return [ms / 1000 for ms in struct.unpack(f"<{(len(frame) - 5) // 8}d", frame[5:])]

    def runs(self, count: int) -> list[float]:
        """Play the loop *count* times and return the seconds of each."""
        self._child.send(count.to_bytes(4, "little"), lambda: 60.0)
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._child.end(kill=True)
        self._scratch.remove()


def _words_of(sent: bytes, received: bytes) -> tuple[int, ...]:
    """The object words that an answer brought."""
    status, payload = received[4], received[5:]
    if status == wire.CALLBACK:
        return wire.words(payload)[1:]
    if status == wire.THROWN or (
        status == wire.OK and sent[8] in (wire.EVAL, wire.MAKE_CALLBACK, wire.RETURN)
    ):
        return wire.words(payload)
    return ()


def words_in(frame: bytes) -> list[int]:
    """Where a request names objects: the offsets of the words in it."""
    operation = frame[8]
    if operation not in (wire.EVAL, wire.EVAL_DATA, wire.RETURN):
        return []
    reader = _Reader(frame, 9)
    if operation == wire.EVAL_DATA:
        reader.u32()
    elif operation == wire.RETURN and not reader.u8():
        return []
    for _ in range(reader.u32()):
        reader.word()
    for _ in range(reader.u16()):
        reader.skip(reader.u16())
    for _ in range(reader.u32()):
        reader.word()
    for _ in range(reader.u32() if operation == wire.EVAL else 1):
        reader.expression()
    if reader.at != len(frame):
        raise SystemExit("the wire format has changed: benchmarks/wasm_record.py has to follow")
    return reader.found


class _Reader:
    def __init__(self, frame: bytes, at: int) -> None:
        self.frame = frame
        self.at = at
        self.found: list[int] = []

    def _number(self, size: int) -> int:
        self.at += size
        return int.from_bytes(self.frame[self.at - size : self.at], "little")

    def u8(self) -> int:
        return self._number(1)

    def u16(self) -> int:
        return self._number(2)

    def u32(self) -> int:
        return self._number(4)

    def skip(self, size: int) -> None:
        self.at += size

    def word(self) -> None:
        self.found.append(self.at)
        self.at += 4

    def expression(self) -> None:
        children = 0
        match self.u8():
            case 1 | 2:
                self.word()
            case 3 | 12:
                self.skip(self.u32())
            case 0 | 11:
                self.skip(4)
            case 4:
                self.skip(4)
                children = self.u8()
            case 5:
                self.skip(1)
                children = 1
            case 6 | 13:
                self.skip(4)
                children = 1
            case 7:
                self.skip(1)
                children = self.u8()
                self.skip(self.u32())
            case 8 | 9:
                children = self.u32()
            case 10:
                self.skip(5)
                children = self.u8()
            case 14 | 15:
                children = 1
            case 16:
                fields = self.u8()
                self.skip(fields)
                for _ in range(self.u8()):
                    self.skip(4)
                    self.skip(self.u32())
                children = 1 + fields
        for _ in range(children):
            self.expression()
