"""The self-test's steps, which run in a child process."""
