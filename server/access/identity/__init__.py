"""Identity: client addresses, API keys, bearer tokens, sessions, and the authenticator that checks them."""
