"""The errors of the service, one small tree; the HTTP status of each stands in `service.api.answers` and nowhere else.

PlumblineError
├── BadSetting            a setting cannot be used
├── Unreadable            the body is not what its media type says
├── Invalid               readable, but some fields, rows or columns are wrong: `errors` names each
├── TooLarge              over a size limit, which the text names
├── UnsupportedMedia      a body in a media type that is not read here
├── NotAcceptable         an answer in a media type that is not written here
├── Unauthorized          no token, where one is needed
├── Forbidden             a wrong token, or a foreign Origin or Host
├── Elsewhere             answered at another port, not at this one
├── UnknownJob            no such job
├── NotKept               what is asked for was not kept of this version
├── Contradiction         the operation contradicts the model's state
├── PreconditionFailed    the state is not the one that `If-Match` or `expect` names
├── Cancelled             the job was cancelled before it was done
├── JobLost               the process that ran the job ended before the job did
├── QueueFull             too many trainings wait
├── NotReady              the service cannot serve this now
│   └── Overloaded        more at the same time than it takes
└── TimeLimit             it took longer than a request may
"""

from collections.abc import Mapping, Sequence

MOST_ERRORS = 20


class PlumblineError(Exception):
    """Base of all errors a caller can cause or mend; the text says what is wrong, where, and what to do."""


class BadSetting(PlumblineError):
    """An environment variable has a value that cannot be used."""


class Unreadable(PlumblineError):
    """The request body cannot be read as what its media type says."""


class Invalid(PlumblineError):
    """Readable but wrong: `errors` maps the path of each offending field to its messages (at most 20 paths)."""

    def __init__(self, errors: Mapping[str, Sequence[str]], message: str = "some fields of the request are not valid") -> None:
        super().__init__(message)
        self.errors = {path: list(messages) for path, messages in list(errors.items())[:MOST_ERRORS]}


class TooLarge(PlumblineError):
    """The request is over a size limit; the text names the setting that sets it."""


class UnsupportedMedia(PlumblineError):
    """The request body has a media type that this resource does not read."""


class NotAcceptable(PlumblineError):
    """The client accepts only media types that this resource does not write."""


class Unauthorized(PlumblineError):
    """A bearer token is needed and none was sent."""

    reason = "missing token"


class Forbidden(PlumblineError):
    """The token sent is not one of those configured, or the request comes from a foreign page: `reason` says which, for counting."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Elsewhere(PlumblineError):
    """This is not answered at the port that was asked."""


class UnknownJob(PlumblineError):
    """No job has this id."""


class NotKept(PlumblineError):
    """What is asked for of a version was not kept when it was made; the text says how to keep it with the next."""


class Contradiction(PlumblineError):
    """The operation contradicts the state of the model."""


class PreconditionFailed(PlumblineError):
    """The state is not the one that the caller expects; nothing was changed."""


class Cancelled(PlumblineError):
    """The job was cancelled before it published anything."""


class JobLost(PlumblineError):
    """The process that ran the job ended before the job did."""


class QueueFull(PlumblineError):
    """As many trainings wait as are allowed."""


class NotReady(PlumblineError):
    """The service cannot serve this at the moment."""


class Overloaded(NotReady):
    """The service has as much to do at the same time as it may; what it says names the setting, where there is one."""


class TimeLimit(PlumblineError):
    """The request took longer than allowed; the text names the setting."""


class MustWait(BaseException):
    """No error: the request would have to wait for storage, and whoever answers it has no time to; a thread has to."""
