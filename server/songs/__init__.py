"""Songs, and where each was heard."""
