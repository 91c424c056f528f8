"""What Lean functions are called and how, as expression-building methods; versions override what differs.

Nothing here runs: every method returns an :data:`~leanhost.engine.expressions.Arg`, so a table can be listed and
checked against a library before anything is called. Docstrings name the Lean declaration behind a method.
"""

from __future__ import annotations

import inspect
from typing import ClassVar

from leanhost.engine.expressions import (
    Arg,
    ArrayOf,
    Call,
    Const,
    Ctor,
    Field,
    Index,
    Size,
    Tag,
    Unwrap,
    USize,
)
from leanhost.lean.tables.listing import symbols_of
from leanhost.lean.tables.structures import Structure
from leanhost.lean.tables.values import ValueTable
from leanhost.limit import Limit

W = 0
"""The world token: a boxed unit that the boxed twin of every ``IO`` function takes last."""

OLEAN_LEVELS = ("exported", "server", "private")
"""``Lean.OLeanLevel``, by tag: how much of a module is read."""

NONE = 0
NIL = 0
UNIT = 0


def some(value: Arg) -> Ctor:
    """``Option.some``."""
    return Ctor(1, (value,))


def pair(left: Arg, right: Arg) -> Ctor:
    """``Prod.mk``."""
    return Ctor(0, (left, right))


class Table(ValueTable):
    """The functions and layouts shared by the Lean versions known so far."""

    version: ClassVar[str] = ""
    """The minor version this table was measured on, as ``4.35``."""
    commits: ClassVar[dict[str, str]] = {}
    """Commits this table is verified on, each with its platform."""
    AXIOM_KIND: ClassVar[int] = 2
    """The tag of ``Lean.ConstantKind.axiom``."""
    KERNEL_LIMITS: ClassVar[dict[int, Limit]] = {
        13: Limit.HEARTBEATS,
        14: Limit.MEMORY,
        15: Limit.REC_DEPTH,
        16: Limit.CANCELLED,
    }
    """Tags of ``Lean.Kernel.Exception`` that are not a verdict, and the limit that each speaks of."""
    IMPORT: ClassVar[Structure] = Structure(("module",), ("importAll", "isExported", "isMeta"))
    """``Lean.Import``."""
    SYNTAX_NODE: ClassVar[Structure] = Structure(("info", "kind", "args"))
    """``Lean.Syntax.node``."""
    HEADER_ARGS: ClassVar[tuple[str, ...]] = ("module", "prelude", "imports")
    """The arguments of ``Lean.Parser.Module.header``, each a ``null`` node of what is written out."""
    BEYOND: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            r"\(interpreter\) unknown declaration",
            "the kernel checks again without the code that a source compiles (`native_decide`)",
        ),
    )
    """Patterns in Lean's messages that mean that this Lean cannot do it, and why; they never make anything accepted."""

    def __init__(self, word: int) -> None:
        self.word = word
        self.no_position = Ctor(0, (0,), bytes(word))

    def _uint32(self, value: int) -> Arg:
        """A boxed ``UInt32``: a scalar where it fits a word's scalar, an object on 32-bit platforms."""
        return value if self.word == 8 else USize(value)

    # --- names, options ---

    def name_str(self, prefix: Arg, part: Arg) -> Arg:
        """``Lean.Name.str``."""
        return Call("l_Lean_Name_str___override", (prefix, part))

    def name_num(self, prefix: Arg, part: Arg) -> Arg:
        """``Lean.Name.num``."""
        return Call("l_Lean_Name_num___override", (prefix, part))

    def is_internal_detail(self, name: Arg) -> Arg:
        """``Lean.Name.isInternalDetail``: a boxed ``Bool``."""
        return Call("l_Lean_Name_isInternalDetail___boxed", (name,))

    def options_empty(self) -> Arg:
        """``Lean.Options.empty``."""
        return Const("l_Lean_Options_empty")

    def options_insert(self, options: Arg, name: Arg, value: Arg) -> Arg:
        """``Lean.Options.insert``."""
        return Call("l_Lean_Options_insert", (options, name, value))

    def option_decls(self) -> Arg:
        """``Lean.getOptionDeclsArray``: an ``Array (Name × OptionDecl)``."""
        return Unwrap(Call("l_Lean_getOptionDeclsArray___boxed", (W,)))

    def option_default_tag(self, decl: Arg) -> Arg:
        """The constructor tag of ``OptionDecl.defValue``."""
        return Tag(Field(decl, 2))

    def user_name(self, name: Arg) -> Arg:
        """``Lean.privateToUserName``."""
        return Call("l_Lean_privateToUserName", (name,))

    def data_bool(self, value: bool) -> Arg:
        """``Lean.DataValue.ofBool``."""
        return Ctor(1, (), bytes([value]))

    def data_nat(self, value: Arg) -> Arg:
        """``Lean.DataValue.ofNat``."""
        return Ctor(3, (value,))

    def data_string(self, value: Arg) -> Arg:
        """``Lean.DataValue.ofString``."""
        return Ctor(0, (value,))

    def data_name(self, value: Arg) -> Arg:
        """``Lean.DataValue.ofName``."""
        return Ctor(2, (value,))

    # --- importing ---

    def set_search_path(self, paths: Arg) -> Arg:
        """``Lean.searchPathRef.set``: the search path is exactly *paths* (``List FilePath``)."""
        return self.set_ref(Const("l_Lean_searchPathRef"), paths)

    def enable_initializers(self) -> Arg:
        """``Lean.enableInitializersExecution``: an import may run ``initialize`` (``loadExts`` needs it)."""
        return Call("l_Lean_enableInitializersExecution___boxed", (W,))

    def import_decl(self, module: Arg, *, all_: bool, exported: bool, meta: bool) -> Arg:
        """``Lean.Import``."""
        return Ctor(0, (module,), bytes([all_, exported, meta]))

    def import_modules(
        self, imports: Arg, options: Arg, *, trust: int, leak: bool, load_exts: bool, level: int
    ) -> Arg:
        """``Lean.importModules``; *level* is an index of :data:`OLEAN_LEVELS`."""
        no_artifacts = 1
        arguments = (
            imports,
            options,
            self._uint32(trust),
            ArrayOf(()),
            int(leak),
            int(load_exts),
            level,
            no_artifacts,
            W,
        )
        return Unwrap(Call("l_Lean_importModules___boxed", arguments))

    def empty_environment(self) -> Arg:
        """``Lean.mkEmptyEnvironment``."""
        return Unwrap(Call("l_Lean_mkEmptyEnvironment___boxed", (self._uint32(0), W)))

    def set_main_module(self, env: Arg, name: Arg) -> Arg:
        """``Lean.Environment.setMainModule``."""
        return Call("l_Lean_Environment_setMainModule", (env, name))

    def write_module(self, env: Arg, path: Arg, is_module: bool) -> Arg:
        """``Lean.writeModule``."""
        return Unwrap(Call("l_Lean_writeModule___boxed", (env, path, int(is_module), W)))

    # --- parsing ---

    def input_context(self, source: Arg, file: Arg, end: Arg) -> Arg:
        """``Lean.Parser.mkInputContext`` (line ends normalised; *end* is the byte length)."""
        return Call("l_Lean_Parser_mkInputContext___redArg___boxed", (source, file, 1, end))

    def input_file_map(self, context: Arg) -> Arg:
        """``InputContext.fileMap``."""
        return Field(context, 2)

    def parse_header(self, context: Arg) -> Arg:
        """``Lean.Parser.parseHeader``: ``Syntax × ModuleParserState × MessageLog``."""
        return Unwrap(Call("l_Lean_Parser_parseHeader___boxed", (context, W)))

    def header_imports(self, header: Arg) -> Arg:
        """``Lean.Elab.HeaderSyntax.imports`` with the implicit ``Init``: ``Array Import``."""
        return Call("l_Lean_Elab_HeaderSyntax_imports___boxed", (header, 1))

    def header_is_module(self, header: Arg) -> Arg:
        """``Lean.Elab.HeaderSyntax.isModule``: a boxed ``Bool``."""
        return Call("l_Lean_Elab_HeaderSyntax_isModule___boxed", (header,))

    def header_written(self, header: Arg) -> Arg:
        """How much of ``module``, ``prelude`` and the imports a header writes out: ``Array Nat``."""
        return ArrayOf([Size(self._header_arg(header, part)) for part in self.HEADER_ARGS])

    def header_import_syntax(self, header: Arg) -> Arg:
        """The imports that a header writes out: ``Array Syntax``."""
        return self._header_arg(header, "imports")

    def _header_arg(self, header: Arg, part: str) -> Arg:
        node = Index(self.SYNTAX_NODE.get(header, "args"), self.HEADER_ARGS.index(part))
        return self.SYNTAX_NODE.get(node, "args")

    def parser_state(self, position: Arg) -> Arg:
        """``Lean.Parser.ModuleParserState`` at a byte offset."""
        return Ctor(0, (position,), bytes(self.word))

    def parser_position(self, state: Arg) -> Arg:
        """``ModuleParserState.pos``: a byte offset."""
        return Field(state, 0)

    def parse_command(self, context: Arg, command_state: Arg, parser_state: Arg) -> Arg:
        """``Lean.Parser.parseCommand``: ``Syntax × ModuleParserState × MessageLog``."""
        scope = self.scope(command_state)
        module_context = Ctor(
            0, (self.state_env(command_state), self.scope_options(scope), Field(scope, 2), Field(scope, 3))
        )
        return Call("l_Lean_Parser_parseCommand", (context, module_context, parser_state, self.no_messages()))

    def parsed_syntax(self, parsed: Arg) -> Arg:
        """The ``Syntax`` of a parser result."""
        return Field(parsed, 0)

    def parsed_state(self, parsed: Arg) -> Arg:
        """The ``ModuleParserState`` of a parser result."""
        return Field(Field(parsed, 1), 0)

    def parsed_messages(self, parsed: Arg) -> Arg:
        """The ``MessageLog`` of a parser result."""
        return Field(Field(parsed, 1), 1)

    def syntax_kind(self, syntax: Arg) -> Arg:
        """``SyntaxNodeKind`` of a ``Syntax.node``."""
        return self.SYNTAX_NODE.get(syntax, "kind")

    def is_terminal(self, syntax: Arg) -> Arg:
        """``Lean.Parser.isTerminalCommand``: a boxed ``Bool``."""
        return Call("l_Lean_Parser_isTerminalCommand___boxed", (syntax,))

    # --- elaborating commands ---

    def command_state(self, env: Arg, options: Arg) -> Arg:
        """``Lean.Elab.Command.mkState`` with no messages."""
        return Call("l_Lean_Elab_Command_mkState", (env, self.no_messages(), options))

    def state_env(self, state: Arg) -> Arg:
        """``Command.State.env``."""
        return Field(state, 0)

    def state_messages(self, state: Arg) -> Arg:
        """``Command.State.messages``."""
        return Field(state, 1)

    def scope(self, state: Arg) -> Arg:
        """The head of ``Command.State.scopes``."""
        return Field(Field(state, 2), 0)

    def scope_options(self, scope: Arg) -> Arg:
        """``Scope.opts``."""
        return Field(scope, 1)

    def state_info(self, state: Arg) -> Arg:
        """``Command.State.infoState``."""
        return Field(state, 8)

    def command_context(self, file: Arg, file_map: Arg, position: Arg, cancel_token: Arg) -> Arg:
        """``Lean.Elab.Command.Context`` at a byte offset, cancelled by an ``IO.CancelToken``."""
        fields = (file, file_map, 0, position, NIL, NONE, 0, 0, NONE, some(cancel_token))
        return Ctor(0, fields, b"\0")

    def elab_command(self, syntax: Arg, context: Arg, state_ref: Arg) -> Arg:
        """``Lean.Elab.Command.elabCommandTopLevel``."""
        return Unwrap(
            Call("l_Lean_Elab_Command_elabCommandTopLevel___boxed", (syntax, context, state_ref, W))
        )

    # --- messages ---

    def no_messages(self) -> Arg:
        """``Lean.MessageLog.empty``."""
        return Const("l_Lean_MessageLog_empty")

    def message_list(self, log: Arg) -> Arg:
        """``Lean.MessageLog.toList``."""
        return Call("l_Lean_MessageLog_toList___boxed", (log,))

    def message_json(self, message: Arg) -> Arg:
        """``Lean.Message.toJson``, compressed to text."""
        return Call("l_Lean_Json_compress", (Call("l_Lean_Message_toJson___boxed", (message, W)),))

    def message_data_text(self, data: Arg) -> Arg:
        """``Lean.MessageData.toString``."""
        return Call("l_Lean_MessageData_toString___boxed", (data, W))

    def exception_text(self, exception: Arg) -> Arg:
        """``Lean.Exception.toMessageData``, as text."""
        return self.message_data_text(Call("l_Lean_Exception_toMessageData", (exception,)))

    def is_max_heartbeat(self, exception: Arg) -> Arg:
        """``Lean.Exception.isMaxHeartbeat``: a boxed ``Bool``."""
        return Call("l_Lean_Exception_isMaxHeartbeat___boxed", (exception,))

    def is_max_rec_depth(self, exception: Arg) -> Arg:
        """``Lean.Exception.isMaxRecDepth``: a boxed ``Bool``."""
        return Call("l_Lean_Exception_isMaxRecDepth___boxed", (exception,))

    def io_error_text(self, error: Arg) -> Arg:
        """``IO.Error.toString``."""
        return Call("lean_io_error_to_string", (error,))

    # --- references, cancellation, heartbeats ---

    def new_ref(self, value: Arg) -> Arg:
        """``ST.Prim.mkRef``."""
        return Call("l_ST_Prim_mkRef___boxed", (0, 0, value, W))

    def get_ref(self, ref: Arg) -> Arg:
        """``ST.Prim.Ref.get``."""
        return Call("l_ST_Prim_Ref_get___boxed", (0, 0, ref, W))

    def set_ref(self, ref: Arg, value: Arg) -> Arg:
        """``ST.Prim.Ref.set``."""
        return Call("l_ST_Prim_Ref_set___boxed", (0, 0, ref, value, W))

    def new_cancel_token(self) -> Arg:
        """``IO.CancelToken.new``."""
        return Call("l_IO_CancelToken_new___boxed", (W,))

    def heartbeats(self) -> Arg:
        """``IO.getNumHeartbeats``: small allocations on this thread, in units of one."""
        return Call("l_IO_getNumHeartbeats___boxed", (W,))

    def version_string(self) -> Arg:
        """``Lean.versionString``."""
        return Const("l_Lean_versionString")

    def githash(self) -> Arg:
        """``Lean.githash``."""
        return Const("l_Lean_githash")

    # --- the kernel ---

    def add_decl(self, kernel_env: Arg, options: Arg, declaration: Arg, cancel_token: Arg) -> Arg:
        """``Lean.Kernel.Environment.addDecl``: the grown environment, or a ``Kernel.Exception``."""
        arguments = (kernel_env, options, declaration, some(cancel_token))
        return Unwrap(Call("l_Lean_Kernel_Environment_addDecl___boxed", arguments), ok=1)

    def kernel_exception_text(self, exception: Arg, options: Arg) -> Arg:
        """``Lean.Kernel.Exception.toMessageData``, as text."""
        return self.message_data_text(Call("l_Lean_Kernel_Exception_toMessageData", (exception, options)))

    # --- printing ---

    def pp_expr(self, env: Arg, options: Arg, expr: Arg) -> Arg:
        """``Lean.PrettyPrinter.ppExprLegacy`` in the empty local context, as text of the default width."""
        local_context = Const("l_Lean_LocalContext_empty")
        metavariables = self.no_metavariables()
        legacy = Call(
            "l_Lean_PrettyPrinter_ppExprLegacy___boxed", (env, metavariables, local_context, options, expr, W)
        )
        return Call("l_Std_Format_pretty___boxed", (Unwrap(legacy), 120, 0, 0))

    def no_metavariables(self) -> Arg:
        """The empty ``MetavarContext``."""
        return Const("l_Lean_instInhabitedMetavarContext")

    # --- listing ---

    def symbols(self) -> set[str]:
        """Return every symbol the table calls or refers to."""
        found: set[str] = set()
        for name, method in inspect.getmembers(self, inspect.ismethod):
            if name.startswith("_") or name == "symbols":
                continue
            found.update(symbols_of(method))
        return found
