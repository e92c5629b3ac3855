"""HTTP: from bytes on a socket to a handler and back. What a service answers, and what is stored, is elsewhere."""
