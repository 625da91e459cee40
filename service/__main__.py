"""`python -m service`."""

from service.cli import main
from service.commands.completing import VARIABLE

main(prog_name="python -m service", complete_var=VARIABLE)
