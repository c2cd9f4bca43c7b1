"""Patterns of concurrency: each module stands alone and knows nothing of ours."""
