"""The page docs/mqtt-states.md, printed from the tables of the server's side of MQTT.

.venv/bin/python -m tests.mqtt.server.states_page > docs/mqtt-states.md
"""

from mqtt.server.states import RECEIVABLE, TRANSITIONS, ServerState

HEAD = """# States of a device's connection

Made from `mqtt/server/states.py` by `.venv/bin/python -m tests.mqtt.server.states_page`.

A connection begins as *waiting*. A packet that its state does not list ends it (version 5 hears
0x82, protocol error).
"""


def page() -> str:
    transitions = [
        f"| {state.value} | {to.value} | {why} |"
        for state, ways in TRANSITIONS.items()
        for to, why in ways.items()
    ]
    packets = [f"| {state.value} | {names(state)} |" for state in ServerState]
    tables = [
        "## Transitions\n",
        "| from | to | when |\n|---|---|---|",
        *transitions,
        "\n## Packets that are taken\n",
        "| state | packets of the device |\n|---|---|",
        *packets,
    ]
    return HEAD + "\n" + "\n".join(tables) + "\n"


def names(state: ServerState) -> str:
    if state is ServerState.SIGNING_IN:
        return "all wait for the answer to CONNECT"
    return ", ".join(packet.name for packet in sorted(RECEIVABLE[state])) or "none is looked at"


if __name__ == "__main__":
    print(page(), end="")
