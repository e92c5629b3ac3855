"""HTTP: from bytes on a socket to a handler and back. What a handler does belongs to `services` and `studio`."""
