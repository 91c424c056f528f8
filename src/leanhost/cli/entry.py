"""From ``argv`` to an exit status; every way a command can end is decided here."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from leanhost.cli.parser import build_parser
from leanhost.errors import LeanHostError

ACCEPTED, REJECTED, TROUBLE = 0, 1, 2
INTERRUPTED, CLOSED_PIPE, TERMINATED = 130, 141, 143


class _Terminated(BaseException):
    """SIGTERM or SIGHUP arrived; unwinds the stack so that children are ended on the way out."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* (``sys.argv[1:]`` by default) and return the exit status."""
    _repair_streams()
    try:
        with _terminable():
            try:
                arguments = build_parser().parse_args(argv)
                status = _run(arguments.command, arguments)
            except SystemExit as leaving:  # argparse: --help, --version, usage errors
                status = leaving.code if isinstance(leaving.code, int) else TROUBLE
            sys.stdout.flush()
            return status
    except KeyboardInterrupt:
        return _leave(INTERRUPTED)
    except _Terminated:
        return _leave(TERMINATED)
    except BrokenPipeError:
        return _leave(CLOSED_PIPE)
    except LeanHostError as error:
        complain(error.message, error.hint)
        return _leave(TROUBLE)
    except OSError as error:
        complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        return _leave(TROUBLE)
    except Exception:
        # Python's own status for a traceback is 1, which here means that a proof was rejected.
        import traceback

        complain(f"internal error\n{traceback.format_exc().rstrip()}")
        return _leave(TROUBLE)


def _run(command: str, arguments: object) -> int:
    from importlib import import_module

    # Only the module of the command that was asked for is loaded.
    status: int = import_module(f"leanhost.cli.{command}").run(arguments)
    return status


def complain(message: str, hint: str = "") -> None:
    """Print an error, and the next step if there is one, to standard error."""
    from leanhost.cli.text import visible

    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        print(f"leanhost: error: {visible(message)}", file=sys.stderr)
        if hint:
            print(f"  next step: {visible(hint)}", file=sys.stderr)
        sys.stderr.flush()


def _repair_streams() -> None:
    """Make the standard streams able to take any text; a closed one swallows it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # started with `>&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - it lives as long as the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _leave(status: int) -> int:
    """Return *status*; standard output then leads nowhere, so that the interpreter's last flush succeeds."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    return status


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exception while a command runs."""

    def end(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    previous = {}
    for name in ("SIGTERM", "SIGHUP"):
        # `nohup` or an embedding program may have decided otherwise; only the main thread can decide at all.
        with suppress(AttributeError, ValueError):
            number = getattr(signal, name)
            if signal.getsignal(number) is signal.SIG_DFL:
                previous[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
