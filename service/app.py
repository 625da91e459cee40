"""Where everything meets: `create_app` builds the service from a configuration, and nothing else builds anything."""

import gc
import logging.config
import os
import threading
from collections.abc import Callable

import torch
from flask import Flask, Response, request

from model_store.opening import Opened
from service import logs
from service.api import openapi
from service.api.aliases import alias_doors
from service.api.answers import Answer
from service.api.bodies import whole_body
from service.api.flask_answers import install, to_response
from service.api.gate import Gate, Hot
from service.api.guard import Guard
from service.api.importing import import_doors
from service.api.instances import InstancesDoor, Target, instances_doors
from service.api.invocations import InvocationsDoor, invocations_doors
from service.api.jobs import job_doors
from service.api.living import living_doors
from service.api.models import model_doors
from service.api.open_inference import OpenInferenceDoor
from service.api.open_inference_models import open_inference_doors
from service.api.operations import operations_doors, readiness
from service.api.plots import plot_doors
from service.api.predict import PredictDoor
from service.api.samples import sample_doors
from service.api.served_models import served_model_doors
from service.api.submitting import Submitter
from service.api.train import train_doors
from service.api.versions import version_doors
from service.api.web import web_doors
from service.config import Config
from service.plots.pictures import Pictures
from service.regression.model import choose_device
from service.serving.predictor import Predictor
from service.serving.registry import Registry
from service.training.jobs import Jobs


def create_app(config: Config, *, ring: Callable[[str], None] | None = None) -> Gate:
    """The WSGI application of one worker; `ring`, by default the trainer's bell, is called with each new job.

    Touches the device: only after the fork.
    """

    def draining() -> bool:
        return gate.stopping()

    def ready() -> Answer:
        return readiness(opened, registry, draining=draining(), writable=os.access(config.directory, os.W_OK))

    opened = Opened.at(config.store, cache=config.cache, refresh_seconds=config.refresh_seconds)
    store = opened.acting
    jobs = Jobs(store, config.spool, limit=config.max_queued_trainings)
    registry = Registry(
        opened.watching,
        choose_device(config.device),
        capacity=config.loaded_versions,
        retry_seconds=config.refresh_seconds,
        most_wait_seconds=config.predict_seconds,
        may_wait=lambda: not gate.hurried(),
    )
    predictor = Predictor(max_rows=config.max_rows, max_columns=config.max_columns)
    predict = PredictDoor(registry, predictor)
    infer = OpenInferenceDoor(registry, predictor, max_columns=config.max_columns)
    instances = InstancesDoor(registry, predictor)
    invocations = InvocationsDoor(registry, predictor, config.default_model)
    flask = Flask("service", static_folder=None)
    install(flask)
    health = tuple(dict.fromkeys(path for path in ("/ping", "/health", config.vertex_health) if path))
    flask.register_blueprint(  # the first, because a platform may have chosen one of the paths that follow
        invocations_doors(invocations, registry, config.default_model, ready=ready, max_body_bytes=config.max_body_bytes, health=health)
    )
    waiting = threading.BoundedSemaphore(config.threads - 1)
    submitter = Submitter(jobs, ring or jobs.ring, config.max_body_bytes, waiting, draining)
    flask.register_blueprint(train_doors(submitter))
    flask.register_blueprint(living_doors(submitter))
    flask.register_blueprint(import_doors(submitter))
    flask.register_blueprint(job_doors(jobs))
    flask.register_blueprint(model_doors(store, registry))
    flask.register_blueprint(version_doors(store))
    flask.register_blueprint(sample_doors(store))
    flask.register_blueprint(plot_doors(store, Pictures(config.directory / "plots"), waiting))
    flask.register_blueprint(alias_doors(store, max_body_bytes=config.max_body_bytes))
    flask.register_blueprint(operations_doors(opened.watching, registry, openapi.description(), ready))
    flask.register_blueprint(web_doors())
    flask.register_blueprint(open_inference_doors(store, registry, infer, ready, max_body_bytes=config.max_body_bytes))

    flask.register_blueprint(instances_doors(instances, max_body_bytes=config.max_body_bytes))
    flask.register_blueprint(served_model_doors(opened.watching, registry))

    @flask.post("/predict")
    def predict_view() -> Response:
        return to_response(predict(whole_body(request.environ, config.max_body_bytes), request.environ))

    guard = Guard(
        write_tokens=config.write_token,
        read_tokens=config.read_token,
        reading_posts=filter(None, [config.vertex_predict]),
        open_paths=filter(None, [config.vertex_health]),
    )
    hot = {"/predict": Hot("/predict", predict), "/invocations": Hot("/invocations", invocations)}
    if config.vertex_predict:
        hot[config.vertex_predict] = Hot(config.vertex_predict, lambda body, _: instances.predict(body, Target(config.default_model)))
    gate = Gate(
        guard,
        lambda path: hot.get(path) or infer.find(path) or instances.find(path),
        flask,
        max_body_bytes=config.max_body_bytes,
        metrics_port=config.metrics_port,
    )
    registry.warm()
    return gate


def wsgi() -> Gate:
    """What Gunicorn loads in each worker."""
    config = Config.from_environ(os.environ)
    logging.config.dictConfig(logs.settings(config.log_level))
    torch.set_num_threads(1)  # workers are the parallelism; threads beyond them only get in each other's way
    app = create_app(config)
    # Half a million objects of torch live as long as the process. Frozen, they are not walked by the garbage collector,
    # whose full collections otherwise hold a request up for 50 ms every few thousand rows.
    gc.collect()
    gc.freeze()
    return app
