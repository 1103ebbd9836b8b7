"""The audit log in SQL: requests, started jobs, sign-ins, refusals, and every change that an operator makes."""
