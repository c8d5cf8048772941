"""Users: invited, changed, deactivated, and never without an admin."""

import asyncio
from time import monotonic
from typing import Any

import pytest

from tests.api.mailbox import Mailbox, token_of
from tests.api.running import PASSWORD, Answer, Client, Organization, RunningApi
from tests.api.waiting import until_answered, until_refused

pytestmark = pytest.mark.own_api

USERS = "/v1/users"
ACCEPT = "/v1/auth/invitations/accept"
RESET = "/v1/auth/password-reset"
NEW_PASSWORD = "a quite new pass phrase"


async def _invited(org: Organization, email: str = "new@example.com", **fields: Any) -> Any:
    answer = await org.admin.post(USERS, {"email": email, "role": "viewer"} | fields)
    assert answer.status == 201, answer.json
    return answer.json


async def _sign_in(
    api: RunningApi, org: Organization, email: str, password: str = PASSWORD
) -> Answer:
    body = {"email": email, "password": password, "organization_id": org.id}
    return await api.anonymous.post("/v1/auth/token", body)


async def _me(client: Client) -> Any:
    return (await client.get(f"{USERS}/me")).json


async def test_everybody_sees_themselves(org: Organization) -> None:
    for role in ("admin", "dispatcher", "technician", "viewer"):
        me = await _me(getattr(org, role))
        assert (me["role"], me["organization_id"], me["active"]) == (role, org.id, True)


async def test_only_admins_see_others_and_change_them(org: Organization) -> None:
    other = (await _me(org.technician))["id"]
    for client in (org.viewer, org.technician, org.dispatcher):
        answers = [
            await client.get(USERS),
            await client.get(f"{USERS}/{other}"),
            await client.post(USERS, {"email": "x@example.com", "role": "admin"}),
            await client.patch(f"{USERS}/{other}", {"role": "admin"}),
            await client.delete(f"{USERS}/{other}"),
            await client.post(f"{USERS}/{other}/sign-out", None),
        ]
        assert [answer.status for answer in answers] == [403] * len(answers)


async def test_nobody_gives_themselves_a_role(org: Organization) -> None:
    answer = await org.viewer.patch(f"{USERS}/me", {"role": "admin"})
    assert answer.status == 422
    assert (await _me(org.viewer))["role"] == "viewer"


SHOWN = {"language": "de", "units": "imperial", "clock": "12", "timezone": "Europe/Zurich"}
NOT_CHOSEN = dict.fromkeys(SHOWN)


async def test_everybody_chooses_how_pages_are_shown_to_them_alone(org: Organization) -> None:
    for role in ("viewer", "technician", "dispatcher", "admin"):
        client: Client = getattr(org, role)
        before = await _me(client)
        assert {name: before[name] for name in SHOWN} == NOT_CHOSEN
        changed = await client.patch(f"{USERS}/me", SHOWN)
        assert changed.status == 200, changed.json
        assert changed.json == before | SHOWN | {"updated_at": changed.json["updated_at"]}
        assert changed.json["updated_at"] > before["updated_at"]
        assert await _me(client) == changed.json
    newest, *_ = (await org.admin.get("/v1/audit-events", resource_type="user")).json["data"]
    assert newest["changes"]["language"] == {"old": None, "new": "de"}
    back = await org.viewer.patch(f"{USERS}/me", {"units": None, "language": "en"})
    assert {name: back.json[name] for name in SHOWN} == SHOWN | {"units": None, "language": "en"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("language", "fr"),
        ("units", "nautical"),
        ("clock", 24),
        ("timezone", "Middle/Earth"),
        ("timezone", "x" * 65),
    ],
)
async def test_what_cannot_be_shown_is_a_422(org: Organization, field: str, value: object) -> None:
    answer = await org.viewer.patch(f"{USERS}/me", {field: value})
    assert answer.status == 422
    assert [fault["pointer"] for fault in answer.json["errors"]] == [f"/{field}"]
    assert (await _me(org.viewer))[field] is None


async def test_an_invited_user_chooses_a_password_and_signs_in(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    made = await _invited(org, "New.User@Example.com", name="New User", role="dispatcher")
    assert (made["email"], made["invited"]) == ("new.user@example.com", True)
    assert (await _sign_in(api, org, "new.user@example.com", "")).status == 422
    (letter,) = await mailbox.letters()
    assert letter["To"] == "new.user@example.com"
    assert "Quarries" in letter["Subject"]
    assert "https://ops.example.com/invitation#token=" in letter.get_content()
    body = {"token": token_of(letter), "password": NEW_PASSWORD}
    accepted = await api.anonymous.post(ACCEPT, body)
    assert accepted.json == {"organization_id": org.id, "email": "new.user@example.com"}
    answer = await _sign_in(api, org, "new.user@example.com", NEW_PASSWORD)
    me = await _me(Client(api.url, answer.json["access_token"]))
    assert (me["role"], me["invited"], me["name"]) == ("dispatcher", False, "New User")


async def test_a_link_is_good_once(api: RunningApi, org: Organization, mailbox: Mailbox) -> None:
    await _invited(org)
    body = {"token": await mailbox.token("new@example.com"), "password": NEW_PASSWORD}
    assert (await api.anonymous.post(ACCEPT, body)).status == 200
    again = await api.anonymous.post(ACCEPT, body | {"password": "another pass phrase"})
    assert (again.status, again.json["code"]) == (400, "link_not_good")
    assert (await _sign_in(api, org, "new@example.com", NEW_PASSWORD)).status == 200


async def test_of_many_who_use_a_link_at_once_one_gets_through(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    await _invited(org)
    token = await mailbox.token("new@example.com")
    answers = await asyncio.gather(
        *(
            api.anonymous.post(ACCEPT, {"token": token, "password": f"pass phrase no {number}"})
            for number in range(6)
        )
    )
    assert sorted(answer.status for answer in answers) == [200] + [400] * 5


async def test_a_link_ends_with_its_time(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    await _invited(org)
    token = await mailbox.token("new@example.com")
    api.sql("UPDATE user_links SET expires_at = now() WHERE org_id = %s", org.org_id)
    answer = await api.anonymous.post(ACCEPT, {"token": token, "password": NEW_PASSWORD})
    assert answer.json["code"] == "link_not_good"


async def test_links_of_one_kind_are_not_good_for_the_other(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    await _invited(org)
    body = {"token": await mailbox.token("new@example.com"), "password": NEW_PASSWORD}
    assert (await api.anonymous.post(f"{RESET}/confirm", body)).status == 400
    assert (await api.anonymous.post(ACCEPT, body)).status == 200


async def test_no_link_is_stored_as_it_is(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    await _invited(org)
    waiting = api.sql("SELECT m::text FROM mail_outbox m WHERE org_id = %s", org.org_id)
    token = await mailbox.token("new@example.com")
    links = api.sql("SELECT l::text FROM user_links l WHERE org_id = %s", org.org_id)
    assert len(waiting) == len(links) == 1
    assert token not in str(waiting + links)


async def test_an_invitation_can_be_sent_again_until_it_is_accepted(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    made = await _invited(org)
    first = await mailbox.token("new@example.com")
    assert (await org.admin.post(f"{USERS}/{made['id']}/invitation", None)).status == 202
    second = await mailbox.token("new@example.com")
    body = {"token": second, "password": NEW_PASSWORD}
    assert (await api.anonymous.post(ACCEPT, body)).status == 200
    assert (await api.anonymous.post(ACCEPT, body | {"token": first})).status == 400
    again = await org.admin.post(f"{USERS}/{made['id']}/invitation", None)
    assert (again.status, again.json["code"]) == (409, "not_invited")


async def test_an_address_is_taken_once(org: Organization) -> None:
    await _invited(org)
    again = await org.admin.post(USERS, {"email": "NEW@example.com", "role": "admin"})
    assert (again.status, again.json["code"]) == (409, "email_taken")


@pytest.mark.parametrize(
    "email",
    ["a", "a@", "@b", "a b@c", "a@b\nBcc: c@d", "a@b,c@d", "<a@b>", "a@b\x00", "a@\x85c", 3, None],
)
async def test_what_is_no_address_is_a_422(org: Organization, email: object) -> None:
    answer = await org.admin.post(USERS, {"email": email, "role": "viewer"})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/email")


async def test_another_role_counts_at_once_for_tokens_that_were_given_before(
    org: Organization,
) -> None:
    viewer = (await _me(org.viewer))["id"]
    assert (await org.viewer.post("/v1/assets", {"name": "No"})).status == 403
    await org.admin.patch(f"{USERS}/{viewer}", {"role": "dispatcher"})
    await until_answered(lambda: org.viewer.post("/v1/assets", {"name": "Yes"}), 201)
    assert (await _me(org.viewer))["role"] == "dispatcher"
    await org.admin.patch(f"{USERS}/{viewer}", {"role": "viewer"})
    await until_answered(lambda: org.viewer.post("/v1/assets", {"name": "No"}), 403)
    assert (await org.viewer.post("/v1/assets", {"name": "No"})).status == 403


async def test_a_deactivated_user_is_out_and_stays_in_the_list(
    api: RunningApi, org: Organization
) -> None:
    viewer = (await _me(org.viewer))["id"]
    assert (await org.admin.delete(f"{USERS}/{viewer}")).status == 204
    await until_refused(org.viewer)
    assert (await _sign_in(api, org, "viewer@example.com")).status == 401
    assert (await org.admin.get(f"{USERS}/{viewer}")).json["active"] is False
    inactive = (await org.admin.get(USERS, active="false")).json
    assert [user["id"] for user in inactive["data"]] == [viewer]
    assert (await org.admin.get(USERS, active="true")).json["total"] == 3
    await org.admin.patch(f"{USERS}/{viewer}", {"active": True})
    assert (await _sign_in(api, org, "viewer@example.com")).status == 200


@pytest.mark.parametrize("change", [{"role": "dispatcher"}, {"active": False}, None])
async def test_the_last_admin_stays_one(org: Organization, change: Any) -> None:
    await _invited(org, "invited@example.com", role="admin")  # who has no password yet
    path = f"{USERS}/{(await _me(org.admin))['id']}"
    answer = await (org.admin.delete(path) if change is None else org.admin.patch(path, change))
    assert (answer.status, answer.json["code"]) == (409, "last_admin")
    assert (await org.admin.patch(path, {"name": "Boss"})).json["name"] == "Boss"


async def test_two_admins_who_demote_each_other_leave_one(org: Organization) -> None:
    first, second = (await _me(org.admin))["id"], (await _me(org.dispatcher))["id"]
    await org.admin.patch(f"{USERS}/{second}", {"role": "admin"})
    answers = await asyncio.gather(
        org.admin.patch(f"{USERS}/{first}", {"role": "viewer"}),
        org.admin.patch(f"{USERS}/{second}", {"role": "viewer"}),
    )
    assert sorted(answer.status for answer in answers) == [200, 409]


async def test_a_new_password_needs_the_old_one_and_ends_other_sign_ins(
    api: RunningApi, org: Organization
) -> None:
    tokens = [(await _sign_in(api, org, org.email)).json["access_token"] for _ in range(2)]
    here, elsewhere = (Client(api.url, token) for token in tokens)
    change = {"password": NEW_PASSWORD}
    without = await here.patch(f"{USERS}/me", change)
    assert (without.status, without.json["errors"][0]["pointer"]) == (422, "/current_password")
    wrong = await here.patch(f"{USERS}/me", change | {"current_password": "wrong"})
    assert (wrong.status, wrong.json["code"]) == (403, "wrong_password")
    right = await here.patch(f"{USERS}/me", change | {"current_password": PASSWORD})
    assert right.status == 200
    await until_refused(elsewhere)
    assert (await here.get("/v1/assets")).status == 200
    assert (await _sign_in(api, org, org.email)).status == 401
    assert (await _sign_in(api, org, org.email, NEW_PASSWORD)).status == 200


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("too short", "min_length"),
        ("PasswordPassword", "password_common"),
        ("Qwertyuiop123", "password_common"),
        ("abababababababab", "password_repeats"),
        ("boss@example.com", "password_own"),
        ("boss@example.com123", "password_own"),
        ("x" * 257, "max_length"),
    ],
)
async def test_a_password_that_is_guessed_first_is_a_422(
    org: Organization, password: str, code: str
) -> None:
    body = {"password": password, "current_password": PASSWORD}
    answer = await org.admin.patch(f"{USERS}/me", body)
    (fault,) = answer.json["errors"]
    assert (answer.status, fault["pointer"], fault["code"]) == (422, "/password", code)
    assert password not in answer.content.decode()


async def test_whoever_forgot_the_password_gets_another_by_mail(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    old = Client(api.url, (await _sign_in(api, org, org.email)).json["access_token"])
    body = {"email": org.email.upper(), "organization_id": org.id}
    asked = await api.anonymous.post(RESET, body)
    assert (asked.status, asked.json) == (202, {})
    token = await mailbox.token(org.email)
    weak = await api.anonymous.post(f"{RESET}/confirm", {"token": token, "password": "short"})
    assert weak.status == 422
    confirmed = await api.anonymous.post(
        f"{RESET}/confirm", {"token": token, "password": NEW_PASSWORD}
    )
    assert confirmed.status == 200
    await until_refused(old)
    assert (await _sign_in(api, org, org.email)).status == 401
    assert (await _sign_in(api, org, org.email, NEW_PASSWORD)).status == 200


async def test_asking_for_a_reset_tells_nothing(
    api: RunningApi, org: Organization, south: Organization, mailbox: Mailbox
) -> None:
    deactivated = (await _me(org.viewer))["id"]
    await org.admin.delete(f"{USERS}/{deactivated}")
    await _invited(org)
    await mailbox.letters()
    asked = [
        {"email": "nobody@example.com", "organization_id": org.id},
        {"email": "viewer@example.com", "organization_id": org.id},
        {"email": "new@example.com", "organization_id": org.id},
        {"email": org.email, "organization_id": "org_" + "0" * 26},
    ]
    answers = [await api.anonymous.post(RESET, body) for body in asked]
    assert {(answer.status, answer.content) for answer in answers} == {(202, b"{}")}
    assert await mailbox.letters() == []


async def test_nobody_is_flooded_with_letters(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    body, began_s = {"email": org.email, "organization_id": org.id}, monotonic()
    answers = [await api.anonymous.post(RESET, body) for _ in range(10)]
    assert {answer.status for answer in answers} == {202}
    letters, took_s = await mailbox.letters(), monotonic() - began_s
    # Three are free; then each waits twice as long as the one before, less what is forgotten.
    assert len(letters) <= 4 + int(1.05 * took_s + 1).bit_length() - 1


async def test_signing_out_everywhere_ends_every_sign_in_but_no_key(
    api: RunningApi, org: Organization
) -> None:
    clients = [
        Client(api.url, (await _sign_in(api, org, org.email)).json["access_token"])
        for _ in range(2)
    ]
    key = (await clients[0].post("/v1/api-keys", {"name": "Script"})).json["secret"]
    assert (await clients[0].post(f"{USERS}/me/sign-out", None)).status == 204
    for client in clients:
        await until_refused(client)
    assert (await Client(api.url, key).get("/v1/assets")).status == 200
    assert (await org.viewer.get("/v1/assets")).status == 200


async def test_an_admin_signs_another_out(org: Organization) -> None:
    viewer = (await _me(org.viewer))["id"]
    assert (await org.admin.post(f"{USERS}/{viewer}/sign-out", None)).status == 204
    await until_refused(org.viewer)
