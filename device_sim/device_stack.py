"""A device's own MQTT stack: bytes over a socket, in any version and QoS, with its faults.

    stack = DeviceStack(address, tracker, device)
    async with stack:
        is_acknowledged = await stack.publish_nowait(topic, content)

- It keeps a session and follows MQTT-3.2.2-5 to the letter: where the broker has no session, all
  that was sent and not acknowledged is thrown away (3.1 does not say it: there all is sent again).
  Nobody knows then whether it is stored; its
  future is False. So is that of a message with QoS 0, as soon as the message is written.
- A message with QoS 1 is acknowledged by PUBACK, one with QoS 2 by PUBCOMP; its future is True.
- It ends a connection on which nothing comes after its PINGREQ, for half a keepalive.
- It connects again whenever the connection ends. What is not acknowledged is sent again first, in
  order, so that the first arrivals of a tracker's messages are in order of sending.
- Faults of the network and of stacks are drawn for each message (see `device_sim.faults`).
"""

import asyncio
import contextlib
import random
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from device_sim import packets
from device_sim.devices import DeviceProfile
from device_sim.packets import PacketType, ReceivedPacket
from mqtt import AtFault, BrokerAddress, MqttError
from mqtt.client.connected import Connected
from mqtt.client.session import Backoff
from mqtt.errors import PublishQueueFullError

IN_FLIGHT = 20
MAX_PENDING = 4096
KEEPALIVE_S = 12
SILENT_KEEPALIVE_S = 2
RETRY_S = 1.0
DEAF_S = 2.0
TRICKLE_S = 0.001
CLONE_S = 3.0
_CONNACK_S = 90.0  # a broker may let a client wait that was taken over often
_CLOSE_S = 5.0
_READ_BYTES = 65_536
_MAX_PACKET_ID = 65_535
_FINAL_REFUSALS = {3: (1, 2, 4, 5), 4: (1, 2, 4, 5), 5: (0x84, 0x85, 0x86, 0x87, 0x8C)}

Answer = asyncio.Future[bool]


class ConnectionLost(MqttError):
    """The end of a connection; the stack connects again."""

    fault = AtFault.NETWORK
    retryable = True


class StackRefusedError(MqttError):
    """CONNACK with a code that will not change."""

    fault = AtFault.CONFIGURATION


@dataclass(slots=True)
class _Sent:
    """A message in flight. is_received: PUBREC has come, PUBREL is sent in its place."""

    packet: bytes
    answer: Answer
    sent_s: float
    is_received: bool = False


class DeviceStack:
    """One tracker's connections, one after the other, with at most `reconnect_max_s` between."""

    def __init__(
        self,
        address: BrokerAddress,
        client_id: str,
        secret: str,
        device: DeviceProfile,
        reconnect_max_s: float = 2.0,
    ) -> None:
        self._address, self._client_id, self._device = address, client_id, device
        keepalive_s = SILENT_KEEPALIVE_S if device.is_silent else KEEPALIVE_S
        self._connect = packets.connect(device.level, client_id, secret, keepalive_s)
        self._pending: deque[tuple[str, bytes, Answer]] = deque()
        self._in_flight: OrderedDict[int, _Sent] = OrderedDict()  # by packet id, as it was sent
        self._releases: deque[int] = deque()  # packet ids whose PUBREL is due
        self._packet_id = 0
        self._has_work = asyncio.Event()
        self._is_deaf = False
        self._heard_s = 0.0
        self._random = random.Random(f"{device.seed}")
        self._backoff = Backoff(0.05, reconnect_max_s)
        self._writer: asyncio.StreamWriter | None = None
        self._run: asyncio.Task[None] | None = None
        self._clones: set[asyncio.Task[None]] = set()
        self.connected = Connected()
        self.last_error: MqttError | None = None

    async def __aenter__(self) -> Self:
        self._run = asyncio.create_task(self._keep_connected())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def publish_nowait(self, topic: str, content: bytes) -> Answer:
        """Queue a message. The future says whether it was acknowledged.

        Raises PublishQueueFullError.
        """
        if len(self._pending) >= MAX_PENDING:
            raise PublishQueueFullError(len(self._pending), 0)
        answer: Answer = asyncio.get_running_loop().create_future()
        self._pending.append((topic, content, answer))
        self._has_work.set()
        return answer

    def abort(self) -> None:
        """Cut the connection as a failing network would."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def close(self) -> None:
        """Say goodbye and end. The futures of messages without an answer are cancelled."""
        tasks = [*self._clones, *([self._run] if self._run is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.connected.end(ConnectionLost("the device is closed"))
        for answer in [sent.answer for sent in self._in_flight.values()]:
            answer.cancel()
        for _, _, answer in self._pending:
            answer.cancel()

    # Connections ------------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        while True:
            began_s = time.monotonic()
            try:
                await self._connect_once()
            except StackRefusedError as error:
                self.last_error = error
                self.connected.end(error)
                return
            except MqttError as error:
                self.last_error = error
            lived_s = time.monotonic() - began_s if self.connected.is_set() else 0.0
            self.connected.clear()
            await asyncio.sleep(self._backoff.next_delay_s(lived_s))

    async def _connect_once(self) -> None:
        """Connect, and work until the connection ends. Raises MqttError."""
        reader, writer = await self._open()
        self._writer, is_cut = writer, True
        try:
            writer.write(self._connect)
            rest = await self._signed_in(reader)
            self._repeat_all()
            self.connected.set()
            await self._work(reader, writer, rest)
        except asyncio.CancelledError:
            is_cut = False
            raise
        except (OSError, ValueError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not writer.is_closing():
                raise  # uvloop raises it, too, where one writes to a connection that was reset
            raise ConnectionLost(str(error) or "the connection broke") from error
        finally:
            self._writer, self._is_deaf = None, False
            await (_cut(writer) if is_cut else _goodbye(writer))

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self._address
        try:
            return await asyncio.open_connection(address.host, address.port, ssl=address.tls)
        except OSError as error:
            raise ConnectionLost(str(error)) from error

    async def _signed_in(self, reader: asyncio.StreamReader) -> bytes:
        """Wait for CONNACK, and do what it says of the session; return what followed it."""
        data = b""
        try:
            async with asyncio.timeout(_CONNACK_S):
                while not (received := packets.split(data))[0]:
                    data += await _read(reader)
        except TimeoutError:
            raise ConnectionLost(f"no CONNACK within {_CONNACK_S:g} s") from None
        (first, *others), rest = received
        if first.kind != PacketType.CONNACK or len(first.body) < 2:
            raise ConnectionLost("the broker began with something else than CONNACK")
        if code := first.body[1]:
            raise self._refused(code)
        if not first.body[0] & 1 and self._device.level > 3:  # 3.1 says nothing of sessions
            self._throw_away()
        for packet in others:
            self._handle(packet)
        return rest

    def _refused(self, code: int) -> MqttError:
        text = f"the broker refused the connection with code {code}"
        is_final = code in _FINAL_REFUSALS[self._device.level]
        return StackRefusedError(text) if is_final else ConnectionLost(text)

    def _throw_away(self) -> None:
        """Forget what was not acknowledged: the broker has no session (MQTT-3.2.2-5)."""
        while self._in_flight:
            _, sent = self._in_flight.popitem(last=False)
            _settle(sent.answer, is_acknowledged=False)
        self._releases.clear()

    async def _work(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: bytes
    ) -> None:
        both = [
            asyncio.create_task(self._hear(reader, rest)),
            asyncio.create_task(self._speak(writer)),
        ]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    # What comes -------------------------------------------------------------------------------

    async def _hear(self, reader: asyncio.StreamReader, rest: bytes) -> None:
        while True:
            data = await _read(reader)
            self._heard_s = time.monotonic()
            if self._is_deaf:
                await asyncio.sleep(DEAF_S)
                raise ConnectionLost("the device did not read its acknowledgements")
            received, rest = packets.split(rest + data)
            for packet in received:
                self._handle(packet)
            self._has_work.set()

    def _handle(self, packet: ReceivedPacket) -> None:
        if packet.kind == PacketType.DISCONNECT:
            code = packet.body[0] if packet.body else 0
            raise ConnectionLost(f"DISCONNECT with code {code:#04x}")
        if packet.kind not in (PacketType.PUBACK, PacketType.PUBREC, PacketType.PUBCOMP):
            return
        sent = self._in_flight.get(packet.packet_id)
        if packet.kind == PacketType.PUBREC and not packet.is_refusal():
            if sent is not None:
                sent.is_received = True
            self._releases.append(packet.packet_id)
        elif sent is not None:  # else a second answer to what was repeated
            del self._in_flight[packet.packet_id]
            _settle(sent.answer, is_acknowledged=True)

    # What goes out ----------------------------------------------------------------------------

    def _repeat_all(self) -> None:
        """Make all that is in flight due at once, after a reconnection."""
        self._releases.clear()
        for sent in self._in_flight.values():
            sent.sent_s = 0.0
        self._has_work.set()

    async def _speak(self, writer: asyncio.StreamWriter) -> None:
        spoke_s = self._heard_s = time.monotonic()
        pinged_s: float | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience_s()):  # wait_for may swallow our end
                    await self._has_work.wait()
            self._has_work.clear()
            now_s = time.monotonic()
            while self._releases:
                writer.write(packets.pubrel(self._releases.popleft()))
            if pinged_s is not None and self._heard_s < pinged_s <= now_s - KEEPALIVE_S / 2:
                raise ConnectionLost("no PINGRESP")
            idle_s = now_s - min(spoke_s, max(self._heard_s, pinged_s or 0.0))
            is_pinging = idle_s >= KEEPALIVE_S / 2 and not self._device.is_silent
            if self._repeat_overdue(writer, now_s) or self._pending or is_pinging:
                spoke_s = now_s
            if is_pinging:
                writer.write(packets.PINGREQ)
                pinged_s = now_s
            while self._pending and len(self._in_flight) < IN_FLIGHT:
                await self._publish(writer, *self._pending.popleft())
            await writer.drain()

    def _patience_s(self) -> float:
        is_watching = self._device.retries and self._in_flight
        return RETRY_S / 4 if is_watching else KEEPALIVE_S / 4

    def _repeat_overdue(self, writer: asyncio.StreamWriter, now_s: float) -> bool:
        """Send again what the last connection left, or what a device that retries waits for."""
        before_s = now_s - RETRY_S if self._device.retries else 0.0
        overdue = [(n, sent) for n, sent in self._in_flight.items() if sent.sent_s <= before_s]
        for packet_id, sent in overdue:
            again = packets.as_repeated(sent.packet)
            writer.write(packets.pubrel(packet_id) if sent.is_received else again)
            sent.sent_s = now_s
        return bool(overdue)

    async def _publish(
        self, writer: asyncio.StreamWriter, topic: str, content: bytes, answer: Answer
    ) -> None:
        device, packet_id = self._device, self._next_packet_id()
        packet = packets.publish(device.level, topic, content, device.qos, packet_id)
        if device.qos:
            self._in_flight[packet_id] = _Sent(packet, answer, time.monotonic())
        try:
            await self._write(writer, packet)
        finally:
            if not device.qos:
                _settle(answer, is_acknowledged=False)

    async def _write(self, writer: asyncio.StreamWriter, packet: bytes) -> None:
        """Write a packet, as a fault has it where it has one."""
        drawn = {name for name in ("cut", "trickle", "twice", "deaf") if self._draws(name)}
        if "cut" in drawn:
            writer.write(packet[: len(packet) // 2])
            await writer.drain()
            raise ConnectionLost("cut in the middle of a packet")
        if "trickle" in drawn:
            for byte in packet:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(TRICKLE_S)
        else:
            writer.write(packet)
        if "deaf" in drawn:
            self._is_deaf = True
        if "twice" in drawn and not self._clones:
            task = asyncio.create_task(self._sign_in_twice())
            self._clones.add(task)
            task.add_done_callback(self._clones.discard)

    def _draws(self, name: str) -> bool:
        share = self._device.faults.of(name)
        return bool(share) and self._random.random() < share

    def _next_packet_id(self) -> int:
        """Count up; those in flight are far behind."""
        self._packet_id = self._packet_id % _MAX_PACKET_ID + 1
        return self._packet_id

    async def _sign_in_twice(self) -> None:
        """Connect a second device with the same identity, which sends what is in flight here, too.

        Its acknowledgements count for nobody. It goes when it is cut, or after a while.
        """
        held = [sent.packet for sent in self._in_flight.values() if not sent.is_received]
        with contextlib.suppress(MqttError, OSError):
            reader, writer = await self._open()
            try:
                writer.write(self._connect + b"".join(held))
                async with asyncio.timeout(CLONE_S):
                    while True:
                        await _read(reader)
            except TimeoutError:
                return
            finally:
                await _cut(writer)


def _settle(answer: Answer, *, is_acknowledged: bool) -> None:
    if not answer.done():
        answer.set_result(is_acknowledged)


async def _read(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(_READ_BYTES)
    if not data:
        raise ConnectionLost("the broker closed the connection")
    return data


async def _cut(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _goodbye(writer: asyncio.StreamWriter) -> None:
    """Send what is written and DISCONNECT, as far as the other side reads."""
    writer.write(packets.DISCONNECT)
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), _CLOSE_S)
