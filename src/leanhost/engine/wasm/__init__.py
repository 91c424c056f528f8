"""The wasm engine."""
