"""Other kernels that have to agree before a candidate is accepted: which, where they run, and what they say."""
