"""Letters leave whole, over TLS where they should, or it is said why not."""

import ssl
import stat
from contextlib import nullcontext
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from stack.servers.tls import certificate_of
from tests.webhooks.mail.mail_server import PASSWORD, USERNAME, mail_server
from webhooks.mail.senders import FileSender, SendError, SmtpSender, SmtpServer


def _letter(text: str = "Grüße\n") -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "a@example.com", "b@example.com", "Grüße"
    letter.set_content(text)
    return letter


def _sender(port: int, *, who: str = "", host: str = "127.0.0.1") -> SmtpSender:
    return SmtpSender(SmtpServer.read(f"smtp://{who}{host}:{port}"))


async def test_a_folder_gets_a_file_for_each_letter_that_only_its_owner_reads(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "not" / "there"
    sender = FileSender(folder)
    for _ in range(3):
        await sender.send(_letter())
    files = sorted(folder.iterdir())
    assert [path.suffix for path in files] == [".eml"] * 3
    read = message_from_bytes(files[0].read_bytes(), policy=policy.default)
    assert (read["Subject"], read.get_content()) == ("Grüße", "Grüße\n")
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_folder_that_cannot_be_written_is_worth_another_try(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SendError) as caught:
        await FileSender(tmp_path / "file").send(_letter())
    assert not caught.value.is_final


async def test_a_mail_server_gets_a_letter() -> None:
    async with mail_server() as (postbox, port):
        await _sender(port).send(_letter())
    ((recipients, content),) = postbox.letters
    assert recipients == ["b@example.com"]
    assert message_from_bytes(content, policy=policy.default)["Subject"] == "Grüße"


async def test_a_mail_server_that_asks_who_is_told() -> None:
    async with mail_server(asks_who=True) as (postbox, port):
        await _sender(port, who=f"{USERNAME}:p%40ss%2Fword@").send(_letter())
        assert len(postbox.letters) == 1
        with pytest.raises(SendError) as caught:
            await _sender(port, who=f"{USERNAME}:wrong@").send(_letter())
    assert PASSWORD == "p@ss/word"
    assert not caught.value.is_final
    assert "SMTPAuthenticationError" in str(caught.value)
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(("answer", "is_final"), [("550 no", True), ("450 later", False)])
async def test_an_address_that_is_refused_for_ever_is_not_tried_again(
    answer: str, is_final: bool
) -> None:
    async with mail_server() as (postbox, port):
        postbox.recipient_answer = answer
        with pytest.raises(SendError) as caught:
            await _sender(port).send(_letter())
    assert caught.value.is_final == is_final


async def test_a_letter_that_is_refused_or_a_server_that_is_away_is_worth_another_try() -> None:
    async with mail_server() as (postbox, port):
        postbox.data_answer = "451 disk full"
        with pytest.raises(SendError) as refused:
            await _sender(port).send(_letter())
    with pytest.raises(SendError) as away:
        await _sender(port).send(_letter())
    assert not refused.value.is_final
    assert not away.value.is_final


class _Elsewhere(SmtpServer):
    """A host that is not this machine, as if loopback were elsewhere."""

    is_here = False  # pyright: ignore


async def test_a_server_elsewhere_that_offers_no_tls_gets_nothing() -> None:
    async with mail_server() as (postbox, port):
        sender = SmtpSender(_Elsewhere("127.0.0.1", port, False, None, None))
        with pytest.raises(SendError):
            await sender.send(_letter())
    assert postbox.letters == []


@pytest.mark.parametrize(("server", "comes"), [(SmtpServer, True), (_Elsewhere, False)])
async def test_only_on_this_machine_a_certificate_needs_nobody_to_vouch_for_it(
    tmp_path: Path, server: type[SmtpServer], comes: bool
) -> None:
    certificate = certificate_of(tmp_path, develop=True)
    assert certificate is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    async with mail_server(tls=context) as (postbox, port):
        sender = SmtpSender(server("127.0.0.1", port, False, None, None))
        with nullcontext() if comes else pytest.raises(SendError):
            await sender.send(_letter())
    assert postbox.was_encrypted == [True] * comes


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtps://u:p@mail.example.com", ("mail.example.com", 465, True, "u", "p")),
        ("smtp://mail.example.com:2525", ("mail.example.com", 2525, False, None, None)),
    ],
)
def test_a_url_says_where_mail_goes(url: str, server: tuple[object, ...]) -> None:
    assert tuple(SmtpServer.read(url)) == server


@pytest.mark.parametrize("url", ["mail.example.com", "http://mail.example.com", "smtp://", ""])
def test_what_is_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        SmtpServer.read(url)


@pytest.mark.parametrize(
    ("host", "is_here"), [("127.0.0.1", True), ("[::1]", True), ("localhost", True), ("m.x", False)]
)
def test_only_this_machine_is_trusted_without_tls(host: str, is_here: bool) -> None:
    assert SmtpServer.read(f"smtp://{host}:25").is_here == is_here
