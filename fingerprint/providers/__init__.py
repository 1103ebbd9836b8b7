"""What recognizers that ask a provider share: samples, bounded calls, errors, circuit breakers, budgets."""
