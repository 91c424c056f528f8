"""``python -m leanhost.workers.child FD``: a worker process. Its first frame on FD says what it is to be.

Standard output and error belong to the code that is checked; nothing of the protocol is ever on them.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from leanhost.engine import can_fork
from leanhost.errors import ImportFailed
from leanhost.services.host import Host
from leanhost.services.opening import settle
from leanhost.workers import codec, limits
from leanhost.workers.confine import confine
from leanhost.workers.serve import Channel, serve
from leanhost.workers.wire import MAX_REPLY_BYTES, Message, pack, receive


def main(argv: list[str]) -> int:
    """Run the worker on the inherited socket named by the only argument."""
    connection = socket.socket(fileno=int(argv[0]))
    connection.set_inheritable(False)
    config = receive(connection)
    if config is None:
        return 0
    try:
        # What is found out about a toolchain is written to the cache, which is out of reach from here on.
        settle(codec.toolchain_in(config["toolchain"]), strict=config["strict"])
        confined = confine(config, programs=True)
        channel = Channel(connection)
        host = open_host(config)
        preload(host, config)
    except Exception as error:
        connection.sendall(pack({"failed": codec.error_out(error)}, MAX_REPLY_BYTES))
        return 3
    return ready(channel, host, config, confined)


def work(connection: socket.socket, host: Host, config: Message) -> int:
    """Be a worker over a host that a zygote opened and this process inherited."""
    try:
        confined = confine(config, programs=False)
    except Exception as error:
        connection.sendall(pack({"failed": codec.error_out(error)}, MAX_REPLY_BYTES))
        return 3
    channel = Channel(connection)
    host.start_tasks()
    return ready(channel, host, config, confined)


def ready(channel: Channel, host: Host, config: Message, confined: str) -> int:
    """Limit what the process may use, and serve."""
    helpers = limits.family(os.getpid())[1:]
    limits.apply(limits.Limits(**config["limits"]), helpers, address_space=can_fork(host.toolchain))
    channel.send({"ready": host.label, "sandbox": confined})
    serve(channel, host, codec.options_in(config["options"]), helpers)
    return 0


def open_host(config: Message, *, tasks: bool = True) -> Host:
    """Open the host a pool's configuration describes."""
    toolchain = codec.toolchain_in(config["toolchain"])
    search_path = [Path(p) for p in config["search_path"]]
    return Host(toolchain, search_path, strict=config["strict"], tasks=tasks)


def preload(host: Host, config: Message) -> None:
    """Import what the first request is expected to need; what cannot be imported is left for it to find out."""
    try:
        host.preload(config["header"], imports=codec.imports_in(config["preload"]))
    except ImportFailed:
        pass


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # Lean's threads do not end well in an interpreter that shuts down
