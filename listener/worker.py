"""One listener process: devices on one side, the link to ingest on the other."""

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from db.listener.device_sessions import DeviceSession, SessionKey
from listener.devices.arrivals import Handshakes
from listener.devices.bounds import (
    SHARE_BYTES,
    UNSIGNED_PART,
    Addresses,
    Holding,
    TokenBuckets,
    Unsigned,
)
from listener.devices.connection import Device
from listener.devices.forwarding import Forwarding, GatewayConnections
from listener.devices.takeovers import LONGEST_DELAY_S, SignIns, Takeovers
from listener.devices.wills import Wills
from listener.http.connection import HttpDevice
from listener.link.ingest_link import Sender
from listener.link.outbox import DeviceMessage, Origin, cost
from listener.metrics import ListenerMetrics
from listener.settings import ListenSettings
from listener.shown import showing
from listener.stored.claims import Claims
from listener.stored.commands import Commands
from listener.stored.gateway_sightings import GatewaySightings
from listener.stored.gateways import Gateway, Gateways
from listener.stored.identities import Identities, Identity
from listener.stored.presence import ConnectedDevice, Presence
from listener.stored.sessions import Sessions
from listener.stored.unknown_devices import UnknownDevices
from listener.tcp.connection import TcpDevice
from listener.tcp.places import Places
from mqtt.server import Connect, ServerOptions
from telemetry.link import Receipt

SWEEP_S = 1.0
SLICES = 10
"""The connections are looked at a tenth at a time."""
MANY_PAUSED = 1_000
"""The number of paused connections that are looked at in each slice of time."""
DRAIN_STEPS = 50
DRAIN_STEP_S = 0.1
"""An orderly stop closes 2 % of the connections each 100 ms: a whole fleet at once is a storm."""
DRAIN_S = 5.0
"""How long it waits for what is under way after that."""
LOOK_SOON_S = 1.0
STALE_S = 5.0
"""An operator hears of a list of trackers that is older."""

SERVER_UNAVAILABLE = 0x88
BAD_USER_NAME_OR_PASSWORD = 0x86
SERVER_SHUTTING_DOWN = 0x8B
SESSION_TAKEN_OVER = 0x8E
ADMINISTRATIVE_ACTION = 0x98
QUOTA_EXCEEDED = 0x97

_log = structlog.get_logger("listener")
AnyDevice = Device | HttpDevice | TcpDevice


class Worker:
    """The state that the connections of a process share."""

    def __init__(
        self,
        settings: ListenSettings,
        sender: Sender,
        sessions: Sessions,
        presence: Presence,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.now_s = self.loop.time
        self.now_ms = _now_ms
        self.settings = settings
        self.options = ServerOptions()
        self.metrics = ListenerMetrics()
        self.sender = sender
        self.sessions = sessions
        self.presence = presence
        self.holding = Holding(settings.listen_max_held_bytes)
        self.addresses = Addresses(
            settings.listen_max_unsigned_per_address,
            settings.listen_address_failures_per_minute,
            settings.exempt_networks,
        )
        self.unsigned = Unsigned(settings.listen_max_held_bytes // UNSIGNED_PART)
        self.buckets = TokenBuckets(
            settings.listen_tracker_messages_per_s, settings.listen_tracker_bytes_per_s
        )
        self.takeovers = Takeovers()
        self.sign_ins = SignIns()
        self.places = Places(presence)
        self.claims = Claims()
        self.commands = Commands()
        self.handshakes = Handshakes()
        self.shaking_hands = 0
        self.devices: dict[AnyDevice, None] = {}
        self._unsigned: dict[AnyDevice, None] = {}  # oldest first
        self.by_tracker: dict[UUID, Device] = {}
        self.by_origin: dict[int, Device] = {}
        self.by_gateway = GatewayConnections(self._take_over)
        self.dirty: list[Device] = []
        self.paused: set[Device | TcpDevice] = set()
        self.is_draining = False
        self.max_connections = min(
            settings.listen_max_connections, settings.listen_max_held_bytes // SHARE_BYTES * 2
        )
        self._organizations: dict[UUID, int] = {}
        self._origins = 0
        self._wills = Wills(self.holding, sender, self.metrics)
        self._tasks: set[asyncio.Task[None]] = set()
        sender.on_answers, sender.on_evicted = self._answer, self._evict
        sender.on_receipt = self._tell
        sender.on_answered = self._answered
        if settings.shown_tracker is not None:
            sender.on_offered = showing(settings.shown_tracker)
        self.identities = Identities(self._identity_changed, Gateways(self.by_gateway.changed))
        self.unknown_devices = UnknownDevices()
        self.gateway_sightings = GatewaySightings()
        self._show()

    # Connections ----------------------------------------------------------------------------

    def admit(self, device: AnyDevice) -> str | None:
        """Note a connection that has not signed in; return the reason if it is refused."""
        self.metrics.accepted.inc()
        if len(self.devices) >= self.max_connections and not self._make_place():
            return "full"
        why = self.addresses.refusal(device.address, self.now_s())
        if why is None:
            self.devices[device] = self._unsigned[device] = None
            self.addresses.began(device.address)
        return why

    def _make_place(self) -> bool:
        """Cut the connection that has taken longest to sign in: silence keeps nobody out."""
        oldest = next(iter(self._unsigned), None)
        if oldest is None:
            return False
        del self._unsigned[oldest]
        self.metrics.ended.labels("place for another").inc()
        oldest.abort()
        return True

    def lost(self, device: AnyDevice) -> None:
        """Forget a connection that has ended."""
        if device not in self.devices:
            return
        del self.devices[device]
        self._unsigned.pop(device, None)
        if isinstance(device, Device):
            self.paused.discard(device)
            if device.origin is not None:
                self._lost_session(device, device.origin)
                return
        elif isinstance(device, TcpDevice) and device.identity is not None:
            return
        self.addresses.ended(device.address)

    def _lost_session(self, device: Device, origin: Origin) -> None:
        has_room = self.holding.bytes <= self.holding.max_bytes // 2
        if device.forwarding is not None:
            device.forwarding.end(keeps_qos_0=has_room)
            self.by_gateway.remove(device.forwarding)
            self._close_session(device, origin)
            return
        self.sender.drop_waiting(origin, keeps_qos_0=has_room)
        will = device.machine.lost()
        if will is not None:
            self._wills.leave(origin, will)
        self.by_origin.pop(origin.id, None)
        if self.by_tracker.get(origin.tracker_id) is device:
            del self.by_tracker[origin.tracker_id]
        self.commands.closed(origin.tracker_id, device)
        if device.connected is not None:
            self.presence.closed(device.connected, datetime.now(UTC))
        self._close_session(device, origin)
        if will is None:
            self.sender.closed(origin)

    def _close_session(self, device: Device, origin: Origin) -> None:
        if device.session_key is not None:
            self.sessions.closed(device.session_key, origin.id, expiry_s=device.session_expiry_s)

    # Sign-in --------------------------------------------------------------------------------

    def sign_in(self, device: Device, connect: Connect) -> None:
        """Answer CONNECT a little later."""
        self.spawn(self._admit(device, connect))

    async def _admit(self, device: Device, connect: Connect) -> None:
        identity, is_sure = self._check(connect), True
        if identity is None:  # the tracker may have been registered just now
            is_sure = await self.identities.look_soon(LOOK_SOON_S)
            identity = self._check(connect)
        if identity is None:
            self.metrics.refused.labels("credentials" if is_sure else "not checked").inc()
            if is_sure:
                self.addresses.failed(device.address, self.now_s())
            # Nobody is refused for good by a list that could not be read.
            device.refuse(BAD_USER_NAME_OR_PASSWORD if is_sure else SERVER_UNAVAILABLE)
            if is_sure:
                self.note_failure(connect.username or "", "mqtt")
            return
        if self.holding.bytes > self.holding.max_bytes:
            self.metrics.refused.labels("memory").inc()
            device.refuse(SERVER_UNAVAILABLE)
            return
        now_s = self.now_s()
        sender_id = identity.gateway_id if isinstance(identity, Gateway) else identity.tracker_id
        delay_s = max(
            self.takeovers.delay_s(sender_id, now_s), self.sign_ins.delay_s(sender_id, now_s)
        )
        if delay_s > LONGEST_DELAY_S:
            self.metrics.refused.labels("sign-ins").inc()
            device.refuse(SERVER_UNAVAILABLE)
            return
        if delay_s:
            await asyncio.sleep(delay_s)
        client_id = connect.client_id or f"auto-{secrets.token_hex(8)}"
        key = SessionKey(identity.org_id, sender_id, client_id)
        session = await self._session(connect, key)
        if device not in self.devices or device.is_closing:
            return
        identity = self._check(connect)
        if identity is None:
            device.refuse(BAD_USER_NAME_OR_PASSWORD)
            return
        if isinstance(identity, Gateway):
            if not self.by_gateway.make_room(identity, client_id):
                self.metrics.refused.labels("connections of a gateway").inc()
                device.refuse(QUOTA_EXCEEDED)
                return
            device.forwarding = Forwarding(self, device, identity)
            self.by_gateway.add(device.forwarding)
        else:
            self._wills.drop(identity.tracker_id)
            if (older := self.by_tracker.get(identity.tracker_id)) is not None:
                self._take_over(older)
        self.signed_in(device)
        self._begin(device, connect, key, session)

    def signed_in(self, device: Device | TcpDevice) -> None:
        """Note that a connection has signed in."""
        self._unsigned.pop(device, None)
        self.addresses.ended(device.address)

    async def _session(self, connect: Connect, key: SessionKey) -> DeviceSession | None:
        """Return the session that the client finds again; a clean start ends it."""
        if not connect.client_id:
            return None
        if connect.is_clean:
            self.sessions.removed(key)
            return None
        return await self.sessions.find(key)

    def _begin(
        self, device: Device, connect: Connect, key: SessionKey, session: DeviceSession | None
    ) -> None:
        self._origins += 1
        origin = Origin(
            id=self._origins,
            organization=self.organization(key.org_id),
            tracker_id=key.tracker_id,
            org_id=key.org_id,
            client_id=key.client_id,
            began_s=time.monotonic(),
            committed=device.committed,
            released=device.released,
        )
        if device.forwarding is None:
            self.by_tracker[key.tracker_id] = device
            self.by_origin[origin.id] = device
            self.sender.opened(origin)
            device.connected = ConnectedDevice(
                key.org_id, key.tracker_id, device.address, connect.version, datetime.now(UTC)
            )
            self.presence.opened(device.connected)
        self.metrics.signed_in.labels(str(connect.version)).inc()
        device.session_key, device.session_expiry_s = key, connect.session_expiry_s
        if session is not None and not connect.session_expiry_s:
            self.sessions.removed(key)  # it ends with this connection
        device.wants_receipts = session is not None and session.wants_receipts
        device.origin = origin
        self.commands_changed(device, None if session is None else session.command_topic)
        self.receipts_changed(device)
        device.accept(origin, is_present=session is not None)

    def _check(self, connect: Connect) -> Identity | Gateway | None:
        """Return who signs in: a tracker, or a gateway."""
        name, secret = connect.username or "", connect.password or b""
        known = self.identities.gateways if name.startswith("gtw_") else self.identities
        return known.check(name, secret)

    def note_failure(self, name: str, protocol: str, form: str | None = None) -> None:
        """Note for its organization that a tracker could not sign in. form: what it would send.

        After the answer, whose time does not depend on whether there is such a tracker.
        """
        if (owner := self.identities.owner_of(name)) is not None:
            self.unknown_devices.refused(*owner, protocol, form)

    def _take_over(self, device: Device) -> None:
        if device.is_closing:
            return  # the leader says so too
        if device.is_leaving:  # it was ended for another reason
            device.end(SESSION_TAKEN_OVER, "taken over")
            return
        self.metrics.takeovers.inc()
        assert device.origin is not None
        is_shared = self.takeovers.note(device.origin.tracker_id, self.now_s())
        if is_shared and device.connected is not None:
            self.presence.credential_shared(device.connected, datetime.now(UTC))
        device.end(SESSION_TAKEN_OVER, "taken over")

    def organization(self, org_id: UUID) -> int:
        """Return our number of an organization."""
        return self._organizations.setdefault(org_id, len(self._organizations))

    def _identity_changed(self, tracker_id: UUID) -> None:
        """End the connection of a tracker that was revoked, or has another secret."""
        device = self.by_tracker.get(tracker_id)
        if device is not None:
            device.leave(ADMINISTRATIVE_ACTION, "revoked or rotated")

    def commands_changed(self, device: Device, topic: str | None) -> None:
        """Note whether a device that is connected hears commands. topic: on which."""
        if device.command_topic == topic or device.origin is None or device.connected is None:
            return
        if topic is None:
            self.commands.closed(device.origin.tracker_id, device)
        elif device.command_topic is None:
            self.commands.opened(device.origin.org_id, device.origin.tracker_id, device)
        device.command_topic = topic
        device.connected = device.connected._replace(takes_commands=topic is not None)
        self.presence.opened(device.connected)

    def receipts_changed(self, device: Device) -> None:
        """Note the session of a device that is connected, where it outlasts the connection."""
        if device.session_key is not None and device.session_expiry_s and device.origin is not None:
            self.sessions.opened(
                device.session_key,
                device.origin.id,
                wants_receipts=device.wants_receipts,
                command_topic=device.command_topic,
            )

    def offer(
        self, identity: Identity, message: DeviceMessage, answered: Callable[[int], None]
    ) -> Origin:
        """Give the link a message that belongs to no connection of the tracker: it takes none over.

        answered: called with the result, after COMMIT.
        """
        organization, size = self.organization(identity.org_id), cost(message)

        def released(_: DeviceMessage) -> None:
            self.holding.add(organization, -size)

        def committed(message: DeviceMessage, result: int) -> None:
            released(message)
            answered(result)

        self.holding.add(organization, size)
        origin = self.origin_of(identity, committed, released)
        self.sender.opened(origin)
        self.sender.offer(origin, message)
        self.sender.closed(origin)
        return origin

    def origin_of(
        self,
        identity: Identity,
        committed: Callable[[DeviceMessage, int], None],
        released: Callable[[DeviceMessage], None],
    ) -> Origin:
        """Return the origin of messages that belong to no connection of the tracker."""
        self._origins += 1
        return Origin(
            id=self._origins,
            organization=self.organization(identity.org_id),
            tracker_id=identity.tracker_id,
            org_id=identity.org_id,
            client_id="",
            began_s=time.monotonic(),
            committed=committed,
            released=released,
            is_session=False,
        )

    # The link -------------------------------------------------------------------------------

    def _answer(self) -> None:
        dirty, self.dirty = self.dirty, []
        for device in dirty:
            device.answer()

    def _answered(self, count: int, rejected: int, seconds: float) -> None:
        self.metrics.messages.inc(count)
        if rejected:
            self.metrics.quarantined.inc(rejected)
        self.metrics.answer_s.observe(seconds)

    def _evict(self, origin_id: int) -> None:
        device = self.by_origin.get(origin_id)
        if device is not None and not device.is_closing:  # else it was taken over here
            self._take_over(device)

    def _tell(self, receipt: Receipt) -> None:
        device = self.by_tracker.get(receipt.tracker_id)
        if device is None or not device.wants_receipts:
            result = "not connected"
        elif device.deliver(receipt.payload, receipt.correlation_data):
            result = "sent"
        else:
            result = "given up"
        self.metrics.receipts.labels(result).inc()

    # Time -----------------------------------------------------------------------------------

    async def keep_time(self) -> None:
        """Tick all connections once a second, a slice at a time."""
        number = 0
        while True:
            began_s, pause_s = self.now_s(), SWEEP_S / SLICES if self.devices else SWEEP_S
            await asyncio.sleep(pause_s)
            if self.now_s() - began_s > pause_s + SWEEP_S:
                continue  # frozen or starved: what devices sent meanwhile is read first
            number = (number + 1) % SLICES
            now_s = self.now_s()
            for device in list(self.devices)[number::SLICES]:
                device.tick(now_s)
            step = SLICES if len(self.paused) > MANY_PAUSED else 1
            for device in list(self.paused)[number % step :: step]:
                device.regulate()

    async def drain(self) -> None:
        """Say goodbye to all, a few at a time, each after the answers that it waits for.

        Wills are dropped: their devices are not lost, but sent elsewhere.
        """
        self.is_draining = self.commands.is_stopped = True
        self._wills.close()
        leaving = list(self.devices)
        at_once = math.ceil(len(leaving) / DRAIN_STEPS)
        for start in range(0, len(leaving), at_once or 1):
            for device in leaving[start : start + at_once]:
                device.leave(SERVER_SHUTTING_DOWN, "shutting down")
            await asyncio.sleep(DRAIN_STEP_S)
        sender = self.sender
        await _until(lambda: not (sender.held and sender.is_linked), DRAIN_S)
        for device in list(self.devices):
            device.end(SERVER_SHUTTING_DOWN, "shutting down")
        await _until(lambda: not self.devices, DRAIN_S / 2)

    def stale(self) -> str | None:
        """Return a warning where the list of trackers is not current."""
        age_s = self.identities.age_s
        if age_s is None or age_s < STALE_S:
            return None
        return f"the list of trackers is {age_s:.0f} s old: the database cannot be read"

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside; its failure is logged by the loop."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _show(self) -> None:
        gauge = self.metrics.gauge
        gauge("connections", "Connections", lambda: len(self.devices))
        gauge("signed_in_connections", "Devices connected", lambda: len(self.by_tracker))
        gauge("paused_connections", "Connections that are not read", lambda: len(self.paused))
        gauge("held_bytes", "Received and not committed", lambda: self.holding.bytes)
        gauge("unanswered", "Messages at ingest", lambda: self.sender.unanswered)
        gauge("linked", "1 while ingest takes messages", lambda: self.sender.is_linked)
        gauge("identities", "Trackers that may sign in", lambda: len(self.identities))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _until(is_done: Callable[[], bool], timeout_s: float) -> None:
    """Wait for a condition, at most so long; looked at fifty times a second."""
    clock = asyncio.get_running_loop()
    due_s = clock.time() + timeout_s
    while not is_done() and clock.time() < due_s:  # noqa: ASYNC110  # an orderly stop is rare
        await asyncio.sleep(0.02)
