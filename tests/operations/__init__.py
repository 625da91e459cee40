"""Tests of running services: under load, under signals, and scraped."""
