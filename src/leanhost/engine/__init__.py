"""Where a Lean lives and how bytes get there: the native and the wasm engine behind one interface."""
