"""Just enough of Lean's frontend, in plain engine calls, to run commands over ``Init``."""

from __future__ import annotations

from pathlib import Path

from leanhost.engine.base import Guard
from leanhost.engine.expressions import (
    Arg,
    ArrayOf,
    Call,
    Const,
    Ctor,
    Field,
    Index,
    ListOf,
    Size,
    Unwrap,
    USize,
)
from leanhost.engine.values import Ref
from leanhost.engine.wasm import WasmEngine

W = 0
"""The world token."""
EMPTY_TREE = 1
"""An empty tree map: its second constructor."""
NO_OPTIONS = Const("l_Lean_Options_empty")
NO_MESSAGES = Const("l_Lean_MessageLog_empty")

SLOW = """set_option maxHeartbeats 0 in
set_option maxRecDepth 100000 in
example : (List.range 100000).foldl (fun a b => (a * 7 + b) % 1000003) 1 = 5 := by decide
"""
"""Looks at its cancellation token now and then."""
ENDLESS = "partial def loop (n : Nat) : Nat := loop (n+1)\n#eval loop 0\n"
"""Never looks."""


def name(text: str) -> Arg:
    result: Arg = 0
    for part in text.split("."):
        result = Call("l_Lean_Name_str___override", (result, part))
    return result


class Elaborator:
    """Runs commands one by one, each run from the freshly imported environment."""

    def __init__(self, engine: WasmEngine, path: Path, *modules: str, core: Path | None = None) -> None:
        self.engine = engine
        self.core = core or path
        imports = [Ctor(0, (name(module),), bytes((0, 1, 0, 0))) for module in modules or ("Init",)]
        engine.call(
            "l_Lean_initSearchPath___boxed", str(self.core), ListOf([str(path), str(self.core)]), W
        ).close()
        self.env = engine.eval(
            Unwrap(
                Call(
                    "l_Lean_importModules___boxed",
                    (ArrayOf(imports), NO_OPTIONS, USize(1024), ArrayOf([]), 0, 1, 2, EMPTY_TREE, W),
                )
            )
        )
        # With one thread, a theorem's body must not become a task.
        self.options = engine.call(
            "l_Lean_KVMap_insert", NO_OPTIONS, name("Elab.async"), Ctor(1, (), bytes((0,)))
        )

    def __enter__(self) -> Elaborator:
        return self

    def __exit__(self, *_: object) -> None:
        self.env.close()
        self.options.close()

    def token(self) -> Ref:
        return self.engine.call("l_IO_CancelToken_new___boxed", W)

    def guard(self, deadline: float | None = None, **more: object) -> Guard:
        return Guard(self.token(), deadline, **more)  # type: ignore[arg-type]

    def run(self, source: str, token: Ref | None = None) -> list[str]:
        """Elaborate all commands of *source* and return the messages."""
        messages, env = self._elaborate(source, token)
        env.close()
        return messages

    def environment_after(self, source: str) -> Ref:
        """Elaborate *source*, which must raise no message, and return the environment it leaves."""
        messages, env = self._elaborate(source, None)
        assert messages == []
        return env

    def _elaborate(self, source: str, token: Ref | None) -> tuple[list[str], Ref]:
        engine = self.engine
        length = len(source.encode())
        context = Ctor(
            0,
            (
                "<input>",
                Call("l_Lean_FileMap_ofString", (source,)),
                *(0, 0, 0, 0, 1, 0, 0),
                0 if token is None else Ctor(1, (token,)),
            ),
            bytes(4),
        )
        messages: list[str] = []
        with (
            engine.call("l_Lean_Parser_mkInputContext___redArg", source, "<input>", 1, length) as text,
            engine.eval(
                Call(
                    "lean_st_mk_ref",
                    (Call("l_Lean_Elab_Command_mkState", (self.env, NO_MESSAGES, self.options)),),
                )
            ) as state,
        ):
            position = engine.eval(Ctor(0, (0,), bytes(4)))
            done = False
            while not done:
                env = Field(Call("lean_st_ref_get", (state,)), 0)
                module = Ctor(0, (env, self.options, 0, 0))
                parsed = engine.call("l_Lean_Parser_parseCommand", text, module, position, NO_MESSAGES)
                position.close()
                with parsed, engine.eval(Field(parsed, 0)) as command:
                    position = engine.eval(Field(Field(parsed, 1), 0))
                    messages += self._texts(Field(Field(parsed, 1), 1))
                    elaborated = Call(
                        "l_Lean_Elab_Command_elabCommandTopLevel___boxed", (command, context, state, W)
                    )
                    engine.eval(elaborated).close()
                    messages += self._texts(Field(Call("lean_st_ref_get", (state,)), 1))
                    done = engine.eval_data(Call("l_Lean_Parser_isTerminalCommand___boxed", (command,))) == 1
            position.close()
            env_after = engine.eval(Field(Call("lean_st_ref_get", (state,)), 0))
        return messages, env_after

    def _texts(self, log: Arg) -> list[str]:
        engine = self.engine
        with engine.call("l_Lean_MessageLog_toArray___boxed", log) as array:
            count = engine.eval_data(Size(array))
            assert isinstance(count, int)
            texts = []
            for i in range(count):
                data = engine.eval_data(Call("l_Lean_Message_toString___boxed", (Index(array, i), 0, W)))
                assert isinstance(data, str)
                texts.append(data)
            return texts
