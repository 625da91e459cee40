"""`service plot` and `report`: pictures of a version as files, straight from the store or from a running service."""

from pathlib import Path

import click

from service.commands.completing import VERSION
from service.commands.files import write_file
from service.commands.places import at_service, opened, resolved, service_at
from service.commands.telling import one_blas_thread, tells_errors
from service.errors import Invalid
from service.plots.subject import FORMS, KINDS, REPORT

output = click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write.")


@click.command(short_help="Draw a picture of a version, as SVG or PNG.")
@click.argument("version", metavar="MODEL[@VERSION]", shell_complete=VERSION)
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@output
@at_service
@tells_errors
def plot(version: str, kind: str, output: Path, url: str | None, token_file: Path | None) -> None:
    """Draw a picture of a version as SVG or PNG, by the suffix of the file. KIND is one of

    \b
    coefficients  every coefficient with its interval
    loss          the loss of gradient training, epoch by epoch
    surface       the cost over up to three parameters, with the path walked
    fit           the rows with the line, or observed against fitted values
    residuals     residuals against fitted values
    qq            residuals against normal quantiles
    leverage      standardized residuals against leverage

    The last four need rows: train with --sample 1000 to keep some.

    \b
    Examples:
      python -m service plot rent residuals -o residuals.svg
      python -m service plot rent@3 coefficients -o rent-3.png --url http://127.0.0.1:8080
    """
    form = output.suffix.lower().removeprefix(".")
    if form not in FORMS:
        raise Invalid({"output": [f"must end in .{' or .'.join(FORMS)}"]}, "the form of the picture is not known")
    if url:
        _save(output, service_at(url, token_file).plot(version, kind, form), f"{kind} of {version}")
    else:
        _draw(version, kind, form, output)


@click.command(short_help="Write all that is known of a version to one HTML file.")
@click.argument("version", metavar="MODEL[@VERSION]", shell_complete=VERSION)
@output
@at_service
@tells_errors
def report(version: str, output: Path, url: str | None, token_file: Path | None) -> None:
    """Write all that is known of a version to one HTML file, with its pictures, to read or to print.

    \b
    Example:
      python -m service report rent@3 -o rent-3.html
    """
    if url:
        _save(output, service_at(url, token_file).report(version), f"{REPORT} of {version}")
    else:
        _draw(version, REPORT, "html", output)


def _draw(version: str, kind: str, form: str, output: Path) -> None:
    one_blas_thread()
    from service.plots.gathering import gather  # noqa: PLC0415 - torch and matplotlib take a second each to import
    from service.plots.kinds import file_of  # noqa: PLC0415

    store = opened()
    model, number = resolved(store, version)
    _save(output, file_of(gather(store, store.manifest(model, number), kind), kind, form), f"{kind} of {model}@{number}")


def _save(output: Path, data: bytes, what: str) -> None:
    write_file(output, data)
    click.echo(f"{output}: {what}")
