"""Models: `models/<model>/present` says that there is one; its versions and aliases stand beside the mark.

Invariant: a model without its mark is deleted, or about to be published for the first time; its numbers and logs are never undone.
"""

from contextlib import suppress

from model_store import aliases, memory, versions
from model_store.errors import AlreadyExists, UnknownModel
from model_store.names import check_name
from model_store.storage import Objects


def names(objects: Objects) -> list[str]:
    """The names of the models, sorted."""
    return [name for name in objects.names("models") if objects.exists(_mark_key(name))]


def exists(objects: Objects, model: str) -> bool:
    """Whether there is such a model; one probe."""
    return objects.exists(_mark_key(check_name(model)))


def require(objects: Objects, model: str) -> None:
    """Raises UnknownModel unless there is such a model."""
    if not exists(objects, model):
        raise UnknownModel(f"there is no model {model}: list the models to see those there are, or train it")


def mark(objects: Objects, model: str) -> None:
    """Makes the model be there."""
    if not exists(objects, model):
        with suppress(AlreadyExists):  # two first publishes at once may both come here
            objects.create(_mark_key(model), b"")


def delete(objects: Objects, model: str, *, who: str, reason: str) -> None:
    """Deletes every version and the model's memory; each alias gets a last record that names none."""
    with objects.alone():
        require(objects, model)
        for alias in objects.names(f"models/{model}/aliases"):
            aliases.append(objects, model, aliases.draft(alias, None, who=who, reason=reason, idempotency_key=None))
        for version in versions.Numbers.of(objects, model).present:
            versions.bury(objects, model, version)
        memory.drop(objects, model, keep=set())
        objects.delete(_mark_key(model))


def _mark_key(model: str) -> str:
    return f"models/{model}/present"
