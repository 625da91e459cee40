"""Measurements of speed; they print tables and assert nothing."""
