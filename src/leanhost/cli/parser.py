"""The arguments of every command."""

from __future__ import annotations

import argparse
from pathlib import Path

from leanhost.version import VERSION

_EPILOG = """\
exit status of check:
  0  every file was accepted
  1  some file was not (rejected, timeout, out of memory, crashed)
  2  a file could not be read, the usage was wrong, or there is trouble with the toolchain
  130, 141, 143  Ctrl-C; standard output was closed; SIGTERM or SIGHUP
"""

_VERIFY_EPILOG = """\
exit status:
  0  every candidate proves the reference
  1  some does not (each refusal is printed with its code and the name it is about)
  2  a file could not be read, the usage or the reference was wrong, or there is trouble with the toolchain
  3  with --disproofs: every candidate answers the reference, and some disproves a theorem of it
"""


_REPLAY_EPILOG = """\
exit status:
  0  the kernel accepts the file
  1  it does not, the file is not an export, or a limit was hit
  2  the file could not be read, the usage was wrong, or there is trouble with the toolchain
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; what it returns has ``command``, the name of the module with ``run(arguments)``."""
    parser = argparse.ArgumentParser(
        prog="leanhost",
        description="Check Lean 4 files and look after Lean toolchains.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"leanhost {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _check(commands)
    _verify(commands)
    _replay(commands)
    _doctor(commands)
    _toolchain(commands)
    return parser


def _selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--toolchain",
        metavar="T",
        help="embedded, native-runtime, an elan name, or a path (default: see `leanhost doctor`)",
    )
    parser.add_argument(
        "--project",
        metavar="DIR",
        type=Path,
        help="a built Lake project: its lean-toolchain and its compiled modules are used",
    )


def _environment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--imports",
        metavar="A,B",
        type=_modules,
        help="what a source without any import of its own imports (default: Init)",
    )
    _selection(parser)
    parser.add_argument(
        "--search-path",
        metavar="DIR",
        action="append",
        default=[],
        type=_directory,
        help="a directory of compiled modules; may be repeated, the first one wins",
    )


def _axioms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-axiom",
        metavar="AXIOM",
        action="append",
        default=[],
        help="an axiom theorems may rest on besides propext, Classical.choice and Quot.sound: a name, "
        "'NAME : TYPE' (verify needs the type of what the candidate itself declares), or native_decide for those "
        "of that tactic that the kernel can evaluate; may be repeated",
    )


def _strict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--strict",
        action="store_true",
        help="accept nothing that published soundness faults of the Lean in use could have made wrong, where no other "
        "kernel covers them; see `leanhost doctor`",
    )


def _jobs(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "-j", "--jobs", metavar="N", type=_positive, default=1, help=f"{what} at a time (default 1)"
    )


def _check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "check",
        help="check Lean files and give a verdict on each",
        description="Elaborate Lean files, let the kernel check them once more, and give a verdict on each. "
        "The work is done in child processes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a Lean file, or - for standard input")
    _environment(parser)
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds,
        default=60.0,
        help="wall clock for one file, seconds (default 60)",
    )
    parser.add_argument(
        "--max-heartbeats",
        metavar="N",
        type=_natural,
        default=200_000,
        help="Lean's maxHeartbeats for each declaration, in thousands; 0 is no limit (default 200000)",
    )
    parser.add_argument(
        "--max-rec-depth", metavar="N", type=_natural, default=512, help="Lean's maxRecDepth (default 512)"
    )
    _axioms(parser)
    _strict(parser)
    parser.add_argument(
        "--second-kernel",
        action="store_true",
        help="accept only what the kernel of another Lean (native-runtime) accepts as well",
    )
    _jobs(parser, "files to check")
    parser.add_argument("--json", action="store_true", help="print one JSON object on one line for each file")
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="say nothing about accepted files; show only errors of others",
    )
    parser.set_defaults(command="check")


def _verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "verify",
        help="tell whether files prove exactly what another one states",
        description="Tell whether each CANDIDATE proves every theorem of REFERENCE, under the same name and with\n"
        "the same statement, over the same definitions. REFERENCE is trusted, its proofs may be\n"
        "`sorry`. A candidate is elaborated in a confined process, and judged in another one that\n"
        "runs nothing of it.",
        epilog=_VERIFY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "reference", nargs="?", metavar="REFERENCE", help="the statements, or - for standard input"
    )
    parser.add_argument(
        "candidates", nargs="*", metavar="CANDIDATE", help="the proofs, or - for standard input"
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="a config.json of comparator's: what it names of the reference is asked for, on the axioms that it "
        "permits; its modules, in --project or beside it, are REFERENCE and CANDIDATE where these are left out",
    )
    parser.add_argument(
        "--disproofs",
        action="store_true",
        help="take a theorem of the same name that says the negation for an answer, too",
    )
    _environment(parser)
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds,
        default=60.0,
        help="wall clock for a candidate, and for its comparison, seconds (default 60)",
    )
    _axioms(parser)
    _strict(parser)
    _jobs(parser, "candidates to judge")
    parser.add_argument(
        "--from-scratch",
        action="store_true",
        help="have the kernel check what the candidate uses of the library, too (minutes on the embedded Lean)",
    )
    parser.add_argument(
        "--kernel",
        metavar="K",
        action="append",
        help="another kernel that has to agree: a toolchain as for --toolchain, or a command with {file} in the "
        "place of an export ('nanoda_bin {file}'); may be repeated; `none` for none (default: native-runtime, "
        "where that is another Lean)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object on one line for each candidate"
    )
    parser.set_defaults(command="verify", misused=parser.error)


def _replay(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "replay",
        help="tell whether the kernel accepts an exported file",
        description="Have the kernel check every declaration of FILE, which is in lean4export's NDJSON format, in an\n"
        "environment that holds nothing else. FILE is data, from anywhere: nothing of it runs. The work\n"
        "is done in a confined child process. The axioms that the file declares are printed; whether\n"
        "they are admissible is not asked.",
        epilog=_REPLAY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="an export, or - for standard input")
    parser.add_argument(
        "--toolchain",
        metavar="T",
        help="whose kernel: embedded, native-runtime, an elan name, or a path (default: see `leanhost doctor`)",
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds,
        default=600.0,
        help="wall clock for the file, seconds (default 600)",
    )
    parser.add_argument(
        "--memory-limit",
        metavar="MIB",
        type=_positive,
        default=4096,
        help="memory the check may use, in MiB (default 4096)",
    )
    parser.add_argument(
        "--trusted",
        metavar="NAME",
        action="append",
        default=[],
        help="a function on numbers (Nat.gcd...) which the file is known to define as Lean does, so that the kernel "
        "may compute it; may be repeated",
    )
    _strict(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object on one line")
    parser.set_defaults(command="replay")


def _doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "doctor",
        help="say which toolchains there are, which would be used, and whether it works",
        description="Say what every rule of toolchain discovery found, which toolchain would be used, and "
        "whether it works. Nothing is fetched.",
        allow_abbrev=False,
    )
    _selection(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command="doctor")


def _toolchain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "toolchain", help="list, install, remove or locate toolchains", allow_abbrev=False
    )
    parser.set_defaults(command="toolchain")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list the toolchains that can be named", allow_abbrev=False)
    listing.add_argument("--json", action="store_true", help="print a JSON array")
    install = actions.add_parser(
        "install", help="fetch the embedded toolchain into the cache", allow_abbrev=False
    )
    install.add_argument("--force", action="store_true", help="fetch it anew, also when it is installed")
    actions.add_parser("remove", help="remove the embedded toolchain from the cache", allow_abbrev=False)
    path = actions.add_parser("path", help="print where a toolchain is", allow_abbrev=False)
    path.add_argument(
        "name", nargs="?", metavar="T", help="as for --toolchain (default: the one that would be used)"
    )


# --- values ---------------------------------------------------------------------------------------


def _modules(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise argparse.ArgumentTypeError("names no module")
    return found


def _directory(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a directory")
    return path.absolute()


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e7:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value


def _natural(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise argparse.ArgumentTypeError(f"{text!r} is not a natural number")
    return int(text)


def _positive(text: str) -> int:
    value = _natural(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
