"""Calls of other services: bounded in time, repeated within bounds, measured."""
