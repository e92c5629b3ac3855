"""What a client asks before it knows anything: the cloud's addresses, a token, the services' addresses."""
