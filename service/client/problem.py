"""The one error of the client."""

from collections.abc import Mapping, Sequence


class Problem(Exception):
    """What the service refused, or why it could not be asked.

    `status` is that of the answer, None where there was none; `detail` says what is wrong and what to do, and `errors` by path what is
    wrong with each part of the request. `request_id` names the request in the log of the service.
    """

    def __init__(
        self, detail: str, *, status: int | None = None, errors: Mapping[str, Sequence[str]] | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(detail)
        self.detail, self.status, self.request_id = detail, status, request_id
        self.errors = {path: list(messages) for path, messages in (errors or {}).items()}

    def __str__(self) -> str:
        """The detail, and under it what is wrong with each part."""
        return "\n".join([self.detail, *(f"  {path}: {', '.join(messages)}" for path, messages in self.errors.items())])
