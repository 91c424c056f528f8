"""The native engine."""

from leanhost.engine.native.engine import NativeEngine

__all__ = ["NativeEngine"]
