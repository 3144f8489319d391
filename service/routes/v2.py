"""/v2: the Open Inference Protocol."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Path, Request, Response

from emotion import Classifier
from service.access import ARTIFACTS
from service.engine import Check
from service.oip import schemas
from service.oip.infer import Inferred, answer
from service.oip.messages import HEADER, Message, compose, parse
from service.oip.model import describe, find, load
from service.routes.health import readyz
from service.runtime import RuntimeDep
from service.shedding import SheddingRoute
from service.upload import disconnected, read_body

_ERRORS = {
    400: "Not a request of the protocol, or an image that cannot be read.",
    404: "No such model or version.",
    408: "The body came too slowly.",
    413: "Too many bytes or pixels.",
    415: "Not a served image format, or a compressed body.",
    422: "No face was found.",
    503: "Overloaded, or the artifact cannot run.",
    504: "No answer in time.",
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/InferRequest"}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}


def _errors(*statuses: int) -> dict[int | str, dict[str, object]]:
    described: dict[int | str, str] = {status: _ERRORS[status] for status in statuses}
    described["default"] = "Any other error."
    return {s: {"model": schemas.InferError, "description": d} for s, d in described.items()}


def _documented(
    version: Annotated[
        str,
        Path(
            description="a precision, or the first 12 hex digits of the file's SHA-256",
            examples=["int8"],
        ),
    ],
) -> None:
    """Document the path parameter that ``_version`` reads where there is one."""


def _version(request: Request) -> str | None:
    return request.path_params.get("version")


Model = Annotated[str, Path(examples=["mobilenet"])]
VersionDep = Annotated[str | None, Depends(_version)]
router = APIRouter(tags=["open inference protocol"], prefix="/v2")
probes = APIRouter(tags=["open inference protocol"], prefix="/v2/health")  # for all to ask


@router.get("/", include_in_schema=False)
@router.get("")
def server(request: Request) -> schemas.ServerMetadata:
    """Name the server and its extensions of the protocol."""
    return schemas.ServerMetadata(version=request.app.version)


@probes.head("/live", include_in_schema=False)
@probes.get("/live")
def live() -> schemas.ServerLive:
    """Answer as long as the process does."""
    return schemas.ServerLive()


@probes.head("/ready", include_in_schema=False)
@probes.get("/ready", responses={503: {"model": schemas.ServerReady}})
async def ready(request: Request, runtime: RuntimeDep, response: Response) -> schemas.ServerReady:
    """Say whether requests can be served, as /readyz does."""
    ready = await readyz(request, runtime, response)
    return schemas.ServerReady(ready=ready.takes_requests)


def metadata(model: Model, version: VersionDep, runtime: RuntimeDep) -> schemas.ModelMetadata:
    """Describe a model's inputs and outputs; a version is a precision or a content version."""
    return describe(runtime.classifier.store, model, version)


async def model_ready(model: Model, version: VersionDep, runtime: RuntimeDep) -> schemas.ModelReady:
    """Say that a model can answer, loading it if need be."""
    await load(runtime.classifier.registry, runtime.engine, model, version)
    return schemas.ModelReady(name=model)


async def infer(
    body: Annotated[bytes, Depends(read_body)],
    model: Model,
    version: VersionDep,
    runtime: RuntimeDep,
    request: Request,
    after: BackgroundTasks,
) -> Response:
    """Answer for images (input `image`) or ready tensors (input `pixels`).

    Tensors travel in JSON or, both ways, with the binary tensor extension. Parameters of the
    request: `faces`, `no_face` and `detector` as for /predict. One bad image fails the request.
    """
    request.scope[ARTIFACTS] = (find(runtime.classifier.store, model, version),)
    header = request.headers.get(HEADER)
    read = partial(parse, body, header)

    def work(classifier: Classifier, check: Check) -> tuple[Inferred, Message]:
        inferred = answer(classifier, model, version, read, runtime.settings.max_batch, check)
        return inferred, compose(inferred.response, inferred.outputs)

    (inferred, message), timing = await runtime.compute(work, partial(disconnected, request))
    runtime.metrics.inferred(inferred.artifact, inferred.milliseconds, inferred.faces, timing)
    if runtime.shadow:
        after.add_task(runtime.offer, inferred.answers)
    if message.json_length is None:
        return Response(message.body, media_type="application/json")
    return Response(
        message.body,
        media_type="application/octet-stream",
        headers={HEADER: str(message.json_length)},
    )


for _path, _more in (
    ("/models/{model}", []),
    ("/models/{model}/versions/{version}", [Depends(_documented)]),
):
    router.add_api_route(_path, metadata, responses=_errors(404), dependencies=_more)
    router.add_api_route(
        f"{_path}/ready", model_ready, responses=_errors(404, 503), dependencies=_more
    )
    router.add_api_route(
        f"{_path}/infer",
        infer,
        methods=["POST"],
        response_model=schemas.InferResponse,
        responses=_errors(*_ERRORS),
        openapi_extra={"requestBody": _BODY},
        route_class_override=SheddingRoute,
        dependencies=_more,
    )
