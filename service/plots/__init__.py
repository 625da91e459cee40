"""Figures of a version as files, and its report.

`subject` is what a figure is drawn from, `gathering` takes it out of the store, `kinds` and the modules it names draw, `page` writes
the report, and `process` has all that done in a process of its own, so that whoever serves predictions need not wait for matplotlib.
"""
