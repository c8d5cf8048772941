"""Where a webhook may be sent."""

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from db.delivery.webhook_urls import (
    URL_LENGTH_MAX,
    WebhookUrlError,
    check_webhook_url,
    is_allowed_address,
    is_public_address,
)

CASES = Path(__file__).parents[2] / "cases"
ADDRESSES = json.loads((CASES / "webhook_addresses.json").read_text())
URLS = json.loads((CASES / "webhook_urls.json").read_text())


@pytest.mark.parametrize("case", ADDRESSES, ids=lambda case: case["address"])
def test_only_public_hosts_are_public(case):
    address = ip_address(case["address"])
    assert is_public_address(address) == (case["verdict"] == "public")


@pytest.mark.parametrize("case", ADDRESSES, ids=lambda case: case["address"])
def test_the_development_flag_adds_loopback_and_nothing_else(case):
    address = ip_address(case["address"])
    allowed = is_allowed_address(address, allow_loopback=True)
    assert allowed == (case["verdict"] in ("public", "loopback"))


@pytest.mark.parametrize("case", URLS, ids=lambda case: case["url"])
def test_a_url_is_judged_by_its_text(case):
    for allow_loopback in (False, True):
        wanted = case["verdict"] == "public" or (case["verdict"] == "loopback" and allow_loopback)
        if wanted:
            check_webhook_url(case["url"], allow_loopback=allow_loopback)
        else:
            with pytest.raises(WebhookUrlError):
                check_webhook_url(case["url"], allow_loopback=allow_loopback)


def test_a_url_has_a_longest_length():
    base = "https://example.com/"
    check_webhook_url(base + "a" * (URL_LENGTH_MAX - len(base)), allow_loopback=False)
    with pytest.raises(WebhookUrlError, match="longer than 2000"):
        check_webhook_url(base + "a" * URL_LENGTH_MAX, allow_loopback=False)
