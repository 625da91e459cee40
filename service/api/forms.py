"""The form in which each protocol tells errors, found by the path that was asked."""

from collections.abc import Callable

from service.api.answers import JSON, Answer, Fault, fault_of, problem
from service.documents import dump

Form = Callable[[Fault], Answer]


def one_line(fault: Fault) -> str:
    """The error and what is wrong with each part in one line, for protocols whose errors are a single text."""
    told = "; ".join(f"{path}: {', '.join(messages)}" for path, messages in fault.errors.items())
    return f"{fault.detail}: {told}" if told else fault.detail


def plain_error(fault: Fault) -> Answer:
    """`{"error": text}`, as in the Open Inference Protocol; what is readable but wrong is 400 there."""
    status = 400 if fault.status == 422 else fault.status
    return Answer(status, dump({"error": one_line(fault)}), JSON, fault.headers)


MLFLOW_CODES = {
    401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST", 429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}  # fmt: skip


def mlflow_error(fault: Fault) -> Answer:
    """MLflow's `{"error_code", "message"}`; what is readable but wrong is 400 there."""
    status = 400 if fault.status == 422 else fault.status
    code = MLFLOW_CODES.get(status, "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR")
    return Answer(status, dump({"error_code": code, "message": one_line(fault)}), JSON, fault.headers)


FORMS: dict[str, Form] = {"/v1": plain_error, "/v2": plain_error, "/invocations": mlflow_error}  # by the first segment of the path


def refusal(path: str, error: Exception) -> Answer:
    """The answer to an error of a request to `path`."""
    segment = path[: end if (end := path.find("/", 1)) > 0 else len(path)]
    return FORMS.get(segment, problem)(fault_of(error))
