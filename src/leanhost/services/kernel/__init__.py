"""What the kernel and the environment say: replay, axioms, equivalence, judgement."""
