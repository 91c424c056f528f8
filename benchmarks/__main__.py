"""Run every benchmark: ``python -m benchmarks``."""

from __future__ import annotations

import subprocess
import sys

for name in ("native", "services", "wasm", "workers", "kernels", "declarations"):
    print(f"\n## {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False)
