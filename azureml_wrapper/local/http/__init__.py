"""HTTP: from bytes on a socket to a handler and back. Nothing here knows what a handler does: see `services`."""
