"""A view of running services on the terminal, from their metrics."""
