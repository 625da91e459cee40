"""The web worker: how requests come in and answers go out, whatever clients do meanwhile."""
