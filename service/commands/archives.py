"""`service export` and `import`: a version as one file, from one store to another."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from service.commands.completing import VERSION
from service.commands.files import write_file
from service.commands.places import WHO, at_service, opened, resolved, service_at
from service.commands.telling import as_json, print_json, tells_errors
from service.training.document import version_document


@click.command(name="export", short_help="Write a version with all it needs to one file.")
@click.argument("version", metavar="MODEL[@VERSION]", shell_complete=VERSION)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@tells_errors
def export_command(version: str, file: Path) -> None:
    """Write a version to one FILE for `import`: all it needs, and what it remembers if that is still kept.

    \b
    Example:
      python -m service export rent@3 rent-3.zip
    """
    from model_store.archive import pack  # noqa: PLC0415 - the start of every command would wait for it

    store = opened()
    write_file(file, pack(store, *resolved(store, version)))


@click.command(name="import", short_help="Publish the version in a file that export wrote.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", help="Model to publish it in; by default the name it had.")
@click.option("--promote", is_flag=True, help="Serve it as live.")
@click.option("--new-schema", is_flag=True, help="Let the model take another schema.")
@at_service
@as_json
@tells_errors
def import_command(
    file: Path, model: str | None, url: str | None, token_file: Path | None, *, promote: bool, new_schema: bool, as_json: bool
) -> None:
    """Publish the version in FILE, which `export` wrote, under the next number of its model.

    \b
    Example:
      python -m service import rent-3.zip --model rent --promote
    """
    document: Mapping[str, Any]
    if url:
        model = model or _own_name(file)
        document = service_at(url, token_file).import_version(model, file, promote=promote, new_schema=new_schema).document
    else:
        document = _import_here(file, model, promote=promote, new_schema=new_schema)
    if as_json:
        print_json(document)
        return
    source = document["imported"]
    click.echo(f"{document['model']} version {document['version']} is version {source['version']} of {source['model']}")
    if not promote:
        click.echo(f"it is not served yet: `service models promote {document['model']}@{document['version']}`")


def _import_here(file: Path, model: str | None, *, promote: bool, new_schema: bool) -> Mapping[str, Any]:
    from service.training.importing import import_version  # noqa: PLC0415 - torch takes a second to import

    store = opened()
    manifest = import_version(store, file.read_bytes(), model=model, promote=promote, new_schema=new_schema, who=WHO)
    return version_document(store, manifest)


def _own_name(file: Path) -> str:
    """The name that the model of an archive had. Raises BadArchive where it is none."""
    from model_store.archive import unpack  # noqa: PLC0415 - the start of every command would wait for it

    return unpack(file.read_bytes()).manifest.model
