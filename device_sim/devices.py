"""The manner in which simulated devices speak: the versions of MQTT, the QoS, and the faults of
their stacks.

`mixed` gives the trackers of a fleet each of the values in turn, so that one tracker has one
version and one QoS.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from device_sim.faults import Faults

STACK_FAULTS = ("cut", "trickle", "silent", "twice", "deaf", "retry")
"""Faults of connections and of MQTT stacks: `device_sim.device_stack` has them."""


class Qos(StrEnum):
    """The quality of service of a fleet."""

    AT_MOST_ONCE = "0"
    AT_LEAST_ONCE = "1"
    EXACTLY_ONCE = "2"
    MIXED = "mixed"


class Version(StrEnum):
    """The version of MQTT of a fleet."""

    V3_1 = "3.1"
    V3_1_1 = "3.1.1"
    V5 = "5"
    MIXED = "mixed"


_LEVELS = {Version.V3_1: 3, Version.V3_1_1: 4, Version.V5: 5}


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """The manner in which one tracker speaks. level: the protocol level of its version: 3, 4 or 5.

    is_silent: it never sends PINGREQ. retries: it repeats on the open connection what is not
    acknowledged within a second. faults: shares of its messages. seed: chooses them.
    """

    level: int = 5
    qos: int = 1
    is_silent: bool = False
    retries: bool = False
    faults: Faults = field(default_factory=Faults)
    seed: tuple[int, int] = (0, 0)


def has_own_stack(qos: Qos, version: Version, faults: Faults) -> bool:
    """Return whether devices differ from `mqtt.Session`: MQTT 5 with QoS 1 and no fault of the
    stack.
    """
    differs = qos is not Qos.AT_LEAST_ONCE or version is not Version.V5
    return differs or any(faults.of(name) for name in STACK_FAULTS)


def devices(
    trackers: int, qos: Qos, version: Version, faults: Faults, seed: int
) -> Iterator[DeviceProfile]:
    """Yield each tracker's device. The same seed gives the same devices.

    Versions change faster than QoS, so that nine trackers have all nine pairs.
    """
    levels = list(_LEVELS.values()) if version is Version.MIXED else [_LEVELS[version]]
    all_qos = [1, 2, 0] if qos is Qos.MIXED else [int(qos)]
    random = np.random.default_rng([seed, 3])
    for number in range(trackers):
        is_silent, retries = random.random(2) < (faults.of("silent"), faults.of("retry"))
        yield DeviceProfile(
            level=levels[number % len(levels)],
            qos=all_qos[number // len(levels) % len(all_qos)],
            is_silent=bool(is_silent),
            retries=bool(retries),
            faults=faults,
            seed=(seed, number),
        )
