"""The pool's side of its processes: started, watched, killed and reaped."""
