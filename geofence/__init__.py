"""The geofence engine: the zones that a batch of fixes enters, leaves and passes through, and the
verdict on a punch.

A library of values: it does no input or output and reads no clock. docs/geofence.md shows how it is
used. The names here are those that most uses need; they are loaded when first asked for, so that
reading a zone does not load the evaluator.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geofence.judging.evaluator import NO_TIMERS_US, Evaluation, evaluate
    from geofence.judging.state import State
    from geofence.late.history import History
    from geofence.late.segments import Circumstances
    from geofence.model.no_fix_events import Agenda
    from geofence.model.policy import Policy, event_type
    from geofence.model.rules import Gates, Rules
    from geofence.model.schedule import Schedule, parse_schedule
    from geofence.model.transitions import Cause, Inferred, Transition
    from geofence.punches.verdict import judge_punch
    from geofence.shapes.errors import ShapeError
    from geofence.shapes.geojson import read_shape, read_zones
    from geofence.zones.index import ZoneIndex
    from geofence.zones.versions import ZoneVersion

__all__ = [
    "NO_TIMERS_US",
    "Agenda",
    "Cause",
    "Circumstances",
    "Evaluation",
    "Gates",
    "History",
    "Inferred",
    "Policy",
    "Rules",
    "Schedule",
    "ShapeError",
    "State",
    "Transition",
    "ZoneIndex",
    "ZoneVersion",
    "evaluate",
    "event_type",
    "judge_punch",
    "parse_schedule",
    "read_shape",
    "read_zones",
]

_HOME = {
    "model.no_fix_events": ("Agenda",),
    "judging.evaluator": ("NO_TIMERS_US", "Evaluation", "evaluate"),
    "shapes.geojson": ("read_shape", "read_zones"),
    "late.history": ("History",),
    "zones.index": ("ZoneIndex",),
    "model.policy": ("Policy", "event_type"),
    "punches.verdict": ("judge_punch",),
    "shapes.errors": ("ShapeError",),
    "model.rules": ("Gates", "Rules"),
    "model.schedule": ("Schedule", "parse_schedule"),
    "late.segments": ("Circumstances",),
    "judging.state": ("State",),
    "model.transitions": ("Cause", "Inferred", "Transition"),
    "zones.versions": ("ZoneVersion",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"geofence.{module}"), name)
    raise AttributeError(f"module 'geofence' has no attribute {name!r}")
