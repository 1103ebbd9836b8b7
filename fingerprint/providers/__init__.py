"""What all recognizers with a provider use: samples, bounded calls, errors, circuit breakers, budgets."""
