"""The states of a connection in docs/devices.md, printed from the tables of the server's side of
MQTT.

.venv/bin/python -m tests.mqtt.server.states_page
"""

from mqtt.server.states import RECEIVABLE, TRANSITIONS, ServerState

HEAD = """## States of a connection

A connection begins as *waiting*. A packet that its state does not list ends it (version 5 hears
0x82, protocol error). `.venv/bin/python -m tests.mqtt.server.states_page` makes this section.
"""


def section() -> str:
    transitions = [
        f"| {state.value} | {to.value} | {why} |"
        for state, ways in TRANSITIONS.items()
        for to, why in ways.items()
    ]
    packets = [f"| {state.value} | {names(state)} |" for state in ServerState]
    tables = [
        "| from | to | when |\n|---|---|---|",
        *transitions,
        "",
        "| state | packets of the device |\n|---|---|",
        *packets,
    ]
    return HEAD + "\n" + "\n".join(tables) + "\n"


def names(state: ServerState) -> str:
    if state is ServerState.SIGNING_IN:
        return "all wait for the answer to CONNECT"
    return ", ".join(packet.name for packet in sorted(RECEIVABLE[state])) or "none is looked at"


if __name__ == "__main__":
    print(section(), end="")
