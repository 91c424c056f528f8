"""Lean compiled to WebAssembly, in a Node child process driven over pipes."""

from leanhost.engine.wasm.engine import MAX_HEAP, WasmEngine

__all__ = ["MAX_HEAP", "WasmEngine"]
