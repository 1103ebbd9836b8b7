"""How much one may use: rate limits, slots for jobs, and the admission that takes both."""
