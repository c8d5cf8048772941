"""The plan of a fleet: frozen values, checked when they are made (ValueError)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from device_sim.devices import Qos, Version, has_own_stack
from device_sim.faults import Faults
from device_sim.payloads import PayloadFormat
from device_sim.schedule import Schedule

MAX_TRACKERS = 100_000
MAX_CONNECTIONS = 10_000


@dataclass(frozen=True, slots=True)
class SimTracker:
    """The identity of a tracker at the broker."""

    tracker_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """The fixes to send, their trackers and the manner of sending. `trackers[i]` sends the fixes
    whose rows["tracker"] is i.

    keep_ledger: whether each fix is remembered; without it only counts and latencies are.
    connections: how many there are at a time. receipts_s: trackers have receipts, and send a
    message again when there is none after this many seconds; None: they have none. faults: those
    that are no matter of fixes (see device_sim.faults); seed: chooses the messages that have them.
    connects_when_due: a tracker connects when its first message is due, not before all others. qos,
    version: how trackers speak (see device_sim.devices).
    """

    trackers: Sequence[SimTracker]
    schedule: Schedule
    payload_format: PayloadFormat = PayloadFormat.JSON
    fixes_per_message: int = 1
    connects_per_s: float = 200.0
    connect_timeout_s: float = 60.0
    settle_s: float = 60.0
    keep_ledger: bool = True
    connections: int = MAX_CONNECTIONS
    receipts_s: float | None = None
    faults: Faults = field(default_factory=Faults)
    seed: int = 0
    connects_when_due: bool = False
    qos: Qos = Qos.AT_LEAST_ONCE
    version: Version = Version.V5

    def __post_init__(self) -> None:
        if not 1 <= len(self.trackers) <= MAX_TRACKERS:
            raise ValueError(f"a fleet has 1 to {MAX_TRACKERS} trackers, not {len(self.trackers)}")
        if not 1 <= self.fixes_per_message <= 1000:
            raise ValueError(f"a message holds 1 to 1000 fixes, not {self.fixes_per_message}")
        if not 1 <= self.connections <= MAX_CONNECTIONS:
            raise ValueError(f"connections must be 1 to {MAX_CONNECTIONS}, not {self.connections}")
        if self.receipts_s is not None and self.receipts_s <= 0:
            raise ValueError(f"receipts_s must be above 0, not {self.receipts_s:g}")
        if self.receipts_s is not None and self.has_own_stack:
            raise ValueError("receipts go with QoS 1, MQTT 5 and no fault of the MQTT stack")
        if self.faults.of("nan") and self.payload_format is PayloadFormat.PACKED:
            raise ValueError("the packed format has no way to write a number that is none (nan)")
        if self.connects_per_s <= 0 or self.connect_timeout_s <= 0 or self.settle_s < 0:
            raise ValueError(
                "connects_per_s and connect_timeout_s must be above 0, settle_s at least 0"
            )

    @property
    def has_own_stack(self) -> bool:
        """Whether trackers speak by `device_sim.device_stack`, not by `mqtt.Session`."""
        return has_own_stack(self.qos, self.version, self.faults)
