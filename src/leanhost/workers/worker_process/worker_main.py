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

from leanhost.engine import can_fork
from leanhost.errors import ImportFailed
from leanhost.services.elaboration.environment import ImportKey, parse_imports
from leanhost.services.session.host import INIT, Host, make_ready
from leanhost.services.session.rehearsal import COMMON, LIBRARY, REHEARSAL, STATED
from leanhost.services.values.cancellation import CancellationToken
from leanhost.system import process_limits
from leanhost.system.pages import Ranges, populate
from leanhost.workers.jobs.import_profiles import plain_imports
from leanhost.workers.protocol.framing import (
    LENGTH,
    MAX_REQUEST_BYTES,
    Frame,
    pack,
    pack_reply,
    receive,
    split,
)
from leanhost.workers.protocol.messages import (
    Check,
    Config,
    Export,
    Failed,
    Order,
    Question,
    Ready,
    Reply,
    Verify,
    error_out,
)
from leanhost.workers.remote import dispatch
from leanhost.workers.remote.session_cache import SessionCache
from leanhost.workers.values.items import Request
from leanhost.workers.worker_process.confine import confine, settle_in
from leanhost.workers.worker_process.request_loop import Channel, answer, serve

ROUNDS = 10
"""How often the plainest source is repeated: Python settles its own instructions within a few calls."""
REHEARSAL_S = 60.0


def main(argv: list[str]) -> int:
    """Run the worker on the inherited socket named by the only argument."""
    connection = socket.socket(fileno=int(argv[0]))
    connection.set_inheritable(False)
    first = receive(connection, Config)
    if first is None:
        return 0
    config: Config = first.message
    settle_in(config)
    try:
        # What is found out about a toolchain is written to the cache, which is out of reach from here on.
        make_ready(config.toolchain, first_of(config), config.search_path, strict=config.strict)
        confined = confine(config, programs=True)
        channel = Channel(connection)
        threading.Thread(target=channel.watch, name="leanhost-channel", daemon=True).start()
        host = open_host(config)
        if preload(host, config) and not config.kernel:
            rehearse(host, config, channel.has_request)
            host._lean.engine.check_alive()
        if host._lean.engine.can_reset:
            host.snapshot()
    except Exception as error:
        connection.sendall(pack_reply(Failed(), error_out(error)))
        return 3
    helpers = process_limits.family(os.getpid())[1:]
    process_limits.apply(config.limits, helpers, address_space=can_fork(host.toolchain))
    ready(channel, host, confined)
    serve(channel, host, config.options, config.startup_timeout, helpers)
    return 0


def work(connection: socket.socket, host: Host, config: Config, ahead: Ranges) -> int:
    """Be a worker over a host that a zygote opened and this process inherited.

    *ahead* is the memory it will write, which it copies while nobody waits for it.
    """
    try:
        confined = confine(config, programs=False)
    except Exception as error:
        connection.sendall(pack_reply(Failed(), error_out(error)))
        return 3
    channel = Channel(connection)
    host._start_tasks()
    process_limits.take_on(config.limits)
    ready(channel, host, confined)
    if not channel.has_request():
        populate(ahead)

    def serving() -> None:
        try:
            serve(channel, host, config.options, config.startup_timeout)
        finally:
            os._exit(70)

    host._lean.engine.occupy(serving)
    channel.watch()
    return 0


def ready(channel: Channel, host: Host, confined: str) -> None:
    """Say that the process is up."""
    toolchain = host.toolchain
    channel.send(Ready(host.label, confined, (toolchain.version, toolchain.platform)))


def open_host(config: Config, *, tasks: bool = True) -> Host:
    """Open the host a pool's configuration describes."""
    return Host(
        config.toolchain, config.search_path, strict=config.strict, tasks=tasks, first=first_of(config)
    )


def first_of(config: Config) -> ImportKey:
    """Return what a worker with this configuration will import first, as far as that can be told without Lean."""
    if not config.header:
        return INIT if config.preload is None else ImportKey(config.preload)
    modules = plain_imports(config.header)
    return INIT if modules is None else ImportKey((*INIT.imports, *parse_imports(modules)))


def preload(host: Host, config: Config) -> bool:
    """Import what the first request is expected to need; what cannot be imported is left for it to find out."""
    try:
        host._preload(config.header, imports=config.preload)
    except ImportFailed:
        return False
    return True


def rehearse(host: Host, config: Config, wanted: Callable[[], bool] = lambda: False) -> None:
    """Answer requests of our own, so that what is made on first use is there before the process is needed, or forks.

    Stops when the process is *wanted*. Whatever the verdicts are: an environment that lacks what the sources mention
    has rehearsed its errors.
    """

    def said(question: Question, source: str, text: str | None = None) -> str | None:
        """Have a message come and its answer go as they do in a worker; return the text that comes with it."""
        sent: list[str | None] = []

        def send(message: Reply, payload: bytes = b"", text: str | None = None) -> None:
            pack_reply(message, payload, text)
            sent.append(text)

        frame: Frame[Order] = split(rehearsal(config, question, source, text)[LENGTH.size :], Order)
        answer(SessionCache(host), config.options, frame, CancellationToken(), send, _no_limit)
        return sent[-1]

    def answers() -> None:
        dispatch.warm()
        for source in (*REHEARSAL, *[LIBRARY] * 2, *[COMMON] * ROUNDS):
            if wanted():
                return
            said(Check(), source)
        said(Verify(whole=False), STATED, said(Export(whole=False), COMMON) or "")

    host._lean.engine.rehearse(answers)


def rehearsal(config: Config, question: Question, source: str, text: str | None = None) -> bytes:
    """Return the frame of a request of our own."""
    request = Request(config.header + source, "<rehearsal>", config.preload, (), REHEARSAL_S)
    return pack(Order("rehearsal", request, question), text=text, limit=MAX_REQUEST_BYTES)


def _no_limit(_: float) -> None:
    """Leave the process's CPU time unlimited: its children would inherit a limit."""


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # Lean's threads do not end well in an interpreter that shuts down
