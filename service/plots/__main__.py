"""`python -m service.plots KIND FORM SECONDS`: one drawing, from a subject in JSON on the standard input to the standard output.

Exit codes: 0 drawn, 3 it cannot be drawn of this version (the output says why); anything else is a fault. It steps back behind
whatever else the machine has to do, and ends by itself after so many seconds, whatever became of who asked.
"""

import signal
import sys

from service.priority import behind_predictions

UNDRAWABLE = 3

if __name__ == "__main__":
    behind_predictions()
    signal.alarm(int(sys.argv[3]))
    import json

    from service.errors import Contradiction
    from service.plots.kinds import file_of
    from service.plots.subject import Subject

    try:
        sys.stdout.buffer.write(file_of(Subject(**json.load(sys.stdin.buffer)), sys.argv[1], sys.argv[2]))
    except Contradiction as error:
        sys.stdout.buffer.write(str(error).encode())
        sys.exit(UNDRAWABLE)
