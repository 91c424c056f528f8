"""Find, fetch, verify and describe toolchains."""
