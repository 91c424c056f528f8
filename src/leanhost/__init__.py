"""Host the Lean 4 theorem prover from Python."""

__version__ = "0.1.0"
