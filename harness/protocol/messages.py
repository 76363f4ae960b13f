"""The messages between parent and worker: one frozen model per request and per answer.

A request is tagged by `do`, an answer by `kind`. Times are seconds, sizes bytes. `calls_seconds` of an answer is the
time that the request spent inside calls of an implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from harness.policy import Policy
from harness.profiled import CaseProfile
from harness.records import (
    Agreement,
    Case,
    Ceiling,
    DataModel,
    Degrees,
    Environment,
    Prediction,
    Preparation,
    ProbeOutcome,
    Round,
    Status,
    Telemetry,
)
from scenarios.scenario import Direction

if TYPE_CHECKING:
    from harness.protocol.channel import Message

# Raised whenever a message changes; parent and worker of different versions refuse each other.
VERSION = 6
# The argument of a worker that imports torch before it is told what it starts with.
AHEAD = "ahead"

# On which shapes a battery is asked: all, few that have between them what probes are about, or the fewest that have
# each feature.
Shapes = Literal["all", "few", "fewest"]


class MessageError(ValueError):
    """A message that is none of ours, or not one to this request."""


# Answers


class Started(DataModel):
    """The worker is ready; `free` is the device's free memory, `digests` the versions of the sources it imported."""

    kind: Literal["started"] = "started"
    protocol: int = VERSION
    free: int
    digests: dict[str, str] = Field(default_factory=dict)


class DescribedImplementation(DataModel):
    """An implementation with its limits on the worker's device; `reason` tells why one is unavailable.

    `elsewhere` if it is for other devices alone; `on_request` if it runs only where it is asked for by name; `untried`
    if no run of it is stored; `compiles` if it makes a kernel for each shape.
    """

    problem: str
    name: str
    available: bool
    reason: str = ""
    elsewhere: bool = False
    dtypes: list[str] = Field(default_factory=list)
    supports: list[str] = Field(default_factory=list)
    deterministic: bool = True
    approximate: bool = False
    on_request: bool = False
    untried: bool = False
    compiles: bool = False
    source: str
    digest: str = ""


class Described(DataModel):
    """What there is: the device, the threads in use, and every implementation found."""

    kind: Literal["described"] = "described"
    device_name: str
    implementations: list[DescribedImplementation]
    threads: int


class CasePrediction(DataModel):
    """What one case will cost, or why it will not run; the fields are those of a planned case."""

    predicted: Prediction | None = None
    skip: Status | None = None
    reason: str = ""


class Predicted(DataModel):
    """A prediction for each case asked about, in order."""

    kind: Literal["predicted"] = "predicted"
    predictions: list[CasePrediction]


class EnvironmentMeasured(DataModel):
    """The machine with its ceilings."""

    kind: Literal["environment"] = "environment"
    environment: Environment


class CeilingsMeasured(DataModel):
    """The ceilings that could be measured again."""

    kind: Literal["ceilings"] = "ceilings"
    ceilings: list[Ceiling]
    # Processes beside this one on a GPU, None if nobody can tell.
    others: int | None = None


class CanaryRead(DataModel):
    """A few readings of the canary, seconds each; none where the device has no canary."""

    kind: Literal["canary"] = "canary"
    seconds: list[float] = Field(default_factory=list)


class ListedProbe(DataModel):
    """One probe of a battery, in one direction; `length` is the greatest of its n, n_q and n_k."""

    probe: str
    direction: Direction
    length: int = 0


class ProbesListed(DataModel):
    """A battery's probes; a probe is asked for by its place in this list. They are at so many `points`."""

    kind: Literal["battery"] = "battery"
    probes: list[ListedProbe]
    points: int = 0


class Probed(DataModel):
    """What one probe showed."""

    kind: Literal["probe"] = "probe"
    outcome: ProbeOutcome


class Prepared(DataModel):
    """A case that agreed, with what was learnt of it."""

    kind: Literal["prepared"] = "prepared"
    prepared: Preparation
    calls_seconds: float


class Counted(DataModel):
    """The degrees of an implementation's law."""

    kind: Literal["counted"] = "counted"
    degrees: Degrees


class Visited(DataModel):
    """The samples of one visit."""

    kind: Literal["visited"] = "visited"
    round: Round
    calls_seconds: float


class Replays(DataModel):
    """Seconds per call inside a replayed CUDA graph of so many calls over so many inputs, or why there are none."""

    samples: list[float] = Field(default_factory=list)
    calls: int = 0
    inputs: int = 0
    reason: str = ""


class Replayed(DataModel):
    """The replays of one visit; after a failed capture the worker's state is not to be trusted with another."""

    kind: Literal["replayed"] = "replayed"
    graph: Replays
    capture_failed: bool
    calls_seconds: float


class SecondLook(DataModel):
    """What calls on new values and on values seen took when they were made in turn, median seconds of so many pairs.

    `later_seconds` is per call of those in a row after, None if none are.
    """

    found: Literal["kept", "none kept", "undecided"]
    pairs: int
    new_seconds: float
    seen_seconds: float
    later_seconds: float | None = None


class Rechecked(DataModel):
    """The gate's result after timing, and what a second look found where one was asked for."""

    kind: Literal["rechecked"] = "rechecked"
    agreement: Agreement
    second_look: SecondLook | None = None
    calls_seconds: float


class Sustained(DataModel):
    """The device's state during a sustained load."""

    kind: Literal["sustained"] = "sustained"
    telemetry: Telemetry
    calls_seconds: float


class Profiled(DataModel):
    """One call of a case taken apart; no parts where the calls were only made, for a profiler around the process."""

    kind: Literal["profiled"] = "profiled"
    found: CaseProfile
    calls_seconds: float


class Refused(DataModel):
    """A case that gets no time: the status and reason of its record, and the gate's result if that refused it."""

    kind: Literal["refused"] = "refused"
    status: Status
    reason: str
    agreement: Agreement | None = None
    calls_seconds: float


class Failed(DataModel):
    """A request that ended in an exception; `worker_gone` if no later request can be answered by this worker."""

    kind: Literal["failed"] = "failed"
    status: Status
    reason: str
    worker_gone: bool = False


class Step(DataModel):
    """No answer yet: what the worker begins to do."""

    kind: Literal["step"] = "step"
    step: str


class Spent(DataModel):
    """No answer yet, but the next message: where the seconds of the request went, by stage."""

    kind: Literal["spent"] = "spent"
    seconds: dict[str, float]


Answer = (
    Started
    | Described
    | Predicted
    | EnvironmentMeasured
    | CeilingsMeasured
    | CanaryRead
    | ProbesListed
    | Probed
    | Prepared
    | Counted
    | Visited
    | Replayed
    | Rechecked
    | Sustained
    | Profiled
    | Refused
    | Failed
)

# Requests

A = TypeVar("A", bound=BaseModel)


class Asking(DataModel, Generic[A]):
    """A request whose answer, unless it is refused or fails, is an `A`; `do` names it."""

    do: str


class Start(Asking[Started]):
    """Find the implementations; `skip` names sources not to import, with the reason.

    With `modelled` the device is not here: its rates are taken from a datasheet, and nothing can be measured.
    """

    do: Literal["start"] = "start"
    protocol: int = VERSION
    device: str
    policy: Policy
    threads: int | None = None
    impl_files: list[str] = Field(default_factory=list)
    skip: dict[str, str] = Field(default_factory=dict)
    modelled: bool = False


class Describe(Asking[Described]):
    """List implementations by problem, with limits on this device."""

    do: Literal["describe"] = "describe"


class Predict(Asking[Predicted]):
    """Predict operations, bytes and seconds of each case, or why it will not run."""

    do: Literal["predict"] = "predict"
    cases: list[Case]


class MeasureEnvironment(Asking[EnvironmentMeasured]):
    """Describe the machine and measure its ceilings for these dtypes, in about `seconds`; none without dtypes."""

    do: Literal["environment"] = "environment"
    dtypes: list[str]
    seconds: float


class MeasureCeilings(Asking[CeilingsMeasured]):
    """Measure known ceilings again, in about `seconds`."""

    do: Literal["ceilings"] = "ceilings"
    known: list[Ceiling]
    seconds: float


class ReadCanary(Asking[CanaryRead]):
    """Time the canary a few times, to learn whether others have the cores."""

    do: Literal["canary"] = "canary"


class ListProbes(Asking[ProbesListed]):
    """List a problem's battery; `only` keeps probes whose title contains it.

    On few `shapes`, or the fewest, it is what an `implementation` is asked that compiles for each.
    """

    do: Literal["battery"] = "battery"
    problem: str
    quick: bool = False
    only: str = ""
    shapes: Shapes = "all"
    implementation: str = ""


class RunProbe(Asking[Probed]):
    """Run the probe at place `index` of the list that `problem`, `quick`, `only` and `shapes` give."""

    do: Literal["probe"] = "probe"
    problem: str
    quick: bool = False
    only: str = ""
    shapes: Shapes = "all"
    index: int
    implementation: str
    dtype: str
    seed: int


class Prepare(Asking[Prepared]):
    """Hold a case against the oracle, then learn its memory, what it runs, and how long a call takes."""

    do: Literal["prepare"] = "prepare"
    case: Case
    seed: int
    predicted_bytes: int | None = None


class Count(Asking[Counted]):
    """Count an implementation's operations at small sizes along each axis."""

    do: Literal["count"] = "count"
    problem: str
    implementation: str
    dtype: str
    direction: Direction


class Visit(Asking[Visited]):
    """Time `blocks` blocks of `calls` calls each, on inputs drawn from `seed`.

    `launches` is how many kernels one call launches, if that is known.
    """

    do: Literal["visit"] = "visit"
    case: Case
    seed: int
    calls: int
    blocks: int
    launches: int | None = None
    index: int
    process: int


class Replay(Asking[Replayed]):
    """Time a case inside a CUDA graph; `call_seconds` is what a call is known to take, `launches` its kernels."""

    do: Literal["replay"] = "replay"
    case: Case
    seed: int
    blocks: int
    call_seconds: float
    launches: int | None = None


class Recheck(Asking[Rechecked]):
    """Hold a timed case against the oracle again, on inputs that it has not seen.

    Where its rounds look like those of kept results, `look_again` is how many calls each block had.
    """

    do: Literal["recheck"] = "recheck"
    case: Case
    seed: int
    look_again: int | None = None


class Sustain(Asking[Sustained]):
    """Load the device with a case and report its state meanwhile."""

    do: Literal["sustain"] = "sustain"
    case: Case
    seed: int
    call_seconds: float


class ProfileCase(Asking[Profiled]):
    """Hold a case against the oracle, then take one of its calls apart; write its trace to the file `trace`.

    If `bare`, only make the calls, each in a range, for a profiler around the process. `seconds` is what the calls may
    take by themselves.
    """

    do: Literal["profile"] = "profile"
    case: Case
    seed: int
    seconds: float
    trace: str
    bare: bool = False


Request = (
    Start
    | Describe
    | Predict
    | MeasureEnvironment
    | MeasureCeilings
    | ReadCanary
    | ListProbes
    | RunProbe
    | Prepare
    | Count
    | Visit
    | Replay
    | Recheck
    | Sustain
    | ProfileCase
)

_REQUESTS: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="do")])
_ANSWERS: TypeAdapter[Answer | Step | Spent] = TypeAdapter(
    Annotated[Answer | Step | Spent, Field(discriminator="kind")]
)


# On the pipe


def encode(message: DataModel) -> Message:
    """Return a message as a JSON object."""
    return message.model_dump(by_alias=True)


def decode_request(data: Message) -> Request:
    """Read a request. Raises MessageError, in one line, for what is none or comes from another version."""
    if data.get("do") == "start" and data.get("protocol") != VERSION:
        raise MessageError(f"the parent speaks protocol {data.get('protocol')}, this worker {VERSION}")
    try:
        return _REQUESTS.validate_python(data)
    except ValidationError as error:
        raise MessageError(_in_a_line(error, tag=data.get("do"))) from None


def decode_answer(data: Message, request: Asking[A]) -> A | Refused | Failed | Step | Spent:
    """Read what a worker says to a request. Raises MessageError, in one line, for what is no answer to it."""
    if data.get("kind") == "started" and data.get("protocol") != VERSION:
        raise MessageError(f"the worker speaks protocol {data.get('protocol')}, this parent {VERSION}")
    try:
        message = _ANSWERS.validate_python(data)
    except ValidationError as error:
        raise MessageError(_in_a_line(error, tag=data.get("kind"))) from None
    wanted = answer_type(request)
    if not isinstance(message, (wanted, Refused, Failed, Step, Spent)):
        raise MessageError(f"{type(message).__name__} is no answer to {type(request).__name__}")
    return message


def answer_type(request: Asking[A]) -> type[A]:
    """Return the model of a request's answer, as its class declares it."""
    (answer,) = type(request).__bases__[0].__pydantic_generic_metadata__["args"]  # type: ignore[attr-defined]
    assert isinstance(answer, type)
    return answer


def _in_a_line(error: ValidationError, *, tag: object) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        return f"no message {tag!r}; have: {first.get('ctx', {}).get('expected_tags', 'a tag')}"
    return f"message {tag!r}: {'.'.join(map(str, first['loc'][1:]))}: {first['msg']}"
