"""The average of the latest readings of each sensor; ../../README.md says what is consumed, kept and appended."""

from dataclasses import dataclass, field

from pelton import EffectContext, Event, Processor, ReduceContext


@dataclass
class Config:
    count: int = 10
    seconds: float | None = None
    limit: float | None = None


@dataclass
class Reading:
    at: int
    value: float


@dataclass
class Sensor:
    readings: list[Reading] = field(default_factory=list)
    average: float = 0.0
    exceeded_at: int | None = field(default=None, metadata={"json": "exceededAt"})


@dataclass
class Averages:
    sensors: dict[str, Sensor] = field(default_factory=dict)


class MovingAverage(Processor[Averages]):
    """The average of the latest readings of each sensor, when asked and when it exceeds a limit."""

    name = "moving-average"
    version = "0.1.0"
    consumes = ["reading", "average/requested"]
    emits = ["average", "average/exceeded"]

    def reduce(self, state: Averages, event: Event, context: ReduceContext) -> None:
        if event.type != "reading":
            return
        match event.payload:
            case {"sensor": str(name), "value": int() | float() as value} if not isinstance(value, bool):
                sensor = state.sensors.setdefault(name, Sensor())
                take(sensor, Reading(event.created_at_ms, float(value)), event.offset, context.config_as(Config))
            case _:
                context.warn(f"skipped `reading` at offset {event.offset}: no sensor or value")

    def after_append(self, event: Event, state: Averages, context: EffectContext) -> None:
        name = event.payload.get("sensor")
        sensor = state.sensors.get(name) if isinstance(name, str) else None
        if event.type == "average/requested":
            average = sensor.average if sensor else None
            readings = len(sensor.readings) if sensor else 0
            context.append("average", {"sensor": name, "average": average, "readings": readings, "to": event.offset})
        elif sensor and sensor.exceeded_at == event.offset:
            limit = context.config_as(Config).limit
            context.append("average/exceeded", {"sensor": name, "average": sensor.average, "limit": limit})


def take(sensor: Sensor, reading: Reading, offset: int, config: Config) -> None:
    oldest = float("-inf") if config.seconds is None else reading.at - config.seconds * 1000
    window = [*sensor.readings, reading][-config.count :]
    sensor.readings = [reading for reading in window if reading.at >= oldest]
    total = 0.0
    # `sum` would make up for what rounding loses, which other languages do not.
    for reading in sensor.readings:
        total += reading.value
    sensor.average = total / len(sensor.readings)
    if config.limit is None or sensor.average <= config.limit:
        sensor.exceeded_at = None
    elif sensor.exceeded_at is None:
        sensor.exceeded_at = offset
