"""The API of the tests of the API."""

from tests.api.conftest import api as api
from tests.api.conftest import shared_api as shared_api
