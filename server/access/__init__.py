"""Who may ask: the operator's rules, who a caller is, and the one pure function that decides."""
