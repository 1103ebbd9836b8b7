"""Who sends a request: addresses, API keys, bearer tokens, sessions, and the authenticator that reads them."""
