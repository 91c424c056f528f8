"""A worker process: ``python -m leanhost.workers.worker_process.worker_main FD``.

The first frame on FD says what it is to be.

Standard output and error belong to the code that is checked; nothing of the protocol is ever on them.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from leanhost.engine import can_fork
from leanhost.errors import ImportFailed
from leanhost.services.opening.open import settle
from leanhost.services.session.host import Host
from leanhost.services.values.cancellation import CancellationToken
from leanhost.system import process_limits
from leanhost.system.pages import Ranges, populate
from leanhost.workers.protocol import codec
from leanhost.workers.protocol.framing import (
    LENGTH,
    MAX_REPLY_BYTES,
    Message,
    pack,
    pack_reply,
    receive,
    unpack,
)
from leanhost.workers.remote.session_cache import SessionCache
from leanhost.workers.values.items import Request
from leanhost.workers.worker_process.confine import confine, settle_in
from leanhost.workers.worker_process.request_loop import Channel, answer, serve

STATED = "theorem rehearsed (p q : Prop) (h : p) (k : p → q) : q := sorry\n"
COMMON = "theorem rehearsed (p q : Prop) (h : p) (k : p → q) : q := k h\n"
REHEARSAL = (
    COMMON,
    "def rehearsed (n : Nat) : Nat := n\nexample (p : Prop) (h : p) : p := by exact h\nexample : Prop := unknown\n",
    "example (a b : Nat) (h : a = b) : b = a := by simp [h]\n",
    "example : 1 + 1 = 2 := by decide\n",
    "example (a b : Nat) (h : a < b) : a + 1 ≤ b := by omega\n",
)
"""What sources commonly ask of Lean, an error among it."""
LIBRARY = """theorem rehearsed_eq (a b : Nat) (h : a = b) : b = a := h.symm
theorem rehearsed_and (p q : Prop) (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩
"""
"""What most sources mention of the library, whose axioms are looked for once."""
ROUNDS = 10
"""How often the plainest source is repeated: Python settles its own instructions within a few calls."""
REHEARSAL_S = 60.0


def main(argv: list[str]) -> int:
    """Run the worker on the inherited socket named by the only argument."""
    connection = socket.socket(fileno=int(argv[0]))
    connection.set_inheritable(False)
    config = receive(connection)
    if config is None:
        return 0
    settle_in(config)
    try:
        # What is found out about a toolchain is written to the cache, which is out of reach from here on.
        settle(codec.toolchain_in(config["toolchain"]), strict=config["strict"])
        confined = confine(config, programs=True)
        channel = Channel(connection)
        threading.Thread(target=channel.watch, name="leanhost-channel", daemon=True).start()
        host = open_host(config)
        if preload(host, config) and not config["kernel"]:
            rehearse(host, config, channel.has_request)
            host._lean.engine.check_alive()
    except Exception as error:
        connection.sendall(pack({"failed": codec.error_out(error)}, MAX_REPLY_BYTES))
        return 3
    helpers = process_limits.family(os.getpid())[1:]
    process_limits.apply(limits_of(config), helpers, address_space=can_fork(host.toolchain))
    ready(channel, host, confined)
    serve(channel, host, codec.options_in(config["options"]), config["startup_timeout"], helpers)
    return 0


def work(connection: socket.socket, host: Host, config: Message, ahead: Ranges) -> int:
    """Be a worker over a host that a zygote opened and this process inherited.

    *ahead* is the memory it will write, which it copies while nobody waits for it.
    """
    try:
        confined = confine(config, programs=False)
    except Exception as error:
        connection.sendall(pack({"failed": codec.error_out(error)}, MAX_REPLY_BYTES))
        return 3
    channel = Channel(connection)
    host._start_tasks()
    process_limits.take_on(limits_of(config))
    ready(channel, host, confined)
    if not channel.has_request():
        populate(ahead)
    options = codec.options_in(config["options"])

    def serving() -> None:
        try:
            serve(channel, host, options, config["startup_timeout"])
        finally:
            os._exit(70)

    host._lean.engine.occupy(serving)
    channel.watch()
    return 0


def limits_of(config: Message) -> process_limits.Limits:
    """Return the limits a pool's configuration describes."""
    return process_limits.Limits(**config["limits"])


def ready(channel: Channel, host: Host, confined: str) -> None:
    """Say that the process is up."""
    toolchain = host.toolchain
    channel.send({"ready": host.label, "lean": [toolchain.version, toolchain.platform], "sandbox": confined})


def open_host(config: Message, *, tasks: bool = True) -> Host:
    """Open the host a pool's configuration describes."""
    toolchain = codec.toolchain_in(config["toolchain"])
    search_path = [Path(p) for p in config["search_path"]]
    return Host(toolchain, search_path, strict=config["strict"], tasks=tasks)


def preload(host: Host, config: Message) -> bool:
    """Import what the first request is expected to need; what cannot be imported is left for it to find out."""
    try:
        host._preload(config["header"], imports=codec.imports_in(config["preload"]))
    except ImportFailed:
        return False
    return True


def rehearse(host: Host, config: Message, wanted: Callable[[], bool] = lambda: False) -> None:
    """Answer requests of our own, so that what is made on first use is there before the process is needed, or forks.

    Stops when the process is *wanted*. Whatever the verdicts are: an environment that lacks what the sources mention
    has rehearsed its errors.
    """
    options = codec.options_in(config["options"])

    def said(kind: str, source: str, more: Message) -> Message:
        """Have a message come and its answer go as they do in a worker."""
        frame = rehearsal(config, kind, source, more)
        sent: list[Message] = []

        def send(message: Message) -> None:
            pack_reply(message)
            sent.append(message)

        answer(
            SessionCache(host), options, unpack(frame[LENGTH.size :]), CancellationToken(), send, _no_limit
        )
        return sent[-1]

    def answers() -> None:
        for source in (*REHEARSAL, *[LIBRARY] * 2, *[COMMON] * ROUNDS):
            if wanted():
                return
            said("check", source, {})
        text = said("export", COMMON, {"whole": False}).get("text", "")
        said("verify", STATED, {"whole": False, "text": text})

    host._lean.engine.rehearse(answers)


def rehearsal(config: Message, kind: str, source: str, more: Message | None = None) -> bytes:
    """Return the frame of a request of our own."""
    imports = codec.imports_in(config["preload"])
    request = Request(config["header"] + source, "<rehearsal>", imports, (), REHEARSAL_S)
    return pack({"id": "rehearsal", kind: codec.request_out(request), **(more or {})}, MAX_REPLY_BYTES)


def _no_limit(_: float) -> None:
    """Leave the process's CPU time unlimited: its children would inherit a limit."""


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # Lean's threads do not end well in an interpreter that shuts down
