"""How the Python client is used: signs in, makes an asset, finds it, and is refused once.

Rows with some fields alone are no whole assets: they are read as plain JSON.

python usage.py http://127.0.0.1:8000 org_... boss@example.com PASSWORD
"""

import sys

from ops_companion_client import AuthenticatedClient, Client
from ops_companion_client.api.assets import create_asset, get_asset, list_assets
from ops_companion_client.api.auth import create_token
from ops_companion_client.models import AssetItem, AssetList, Credentials, NewAsset, TokenPair
from ops_companion_client.models.problem_document import ProblemDocument


def sign_in(url: str, organization_id: str, email: str, password: str) -> AuthenticatedClient:
    answer = create_token.sync(
        client=Client(base_url=url),
        body=Credentials(email=email, password=password, organization_id=organization_id),
    )
    assert isinstance(answer, TokenPair), answer
    return AuthenticatedClient(base_url=url, token=answer.access_token)


def main(url: str, organization_id: str, email: str, password: str) -> None:
    client = sign_in(url, organization_id, email, password)

    made = create_asset.sync(client=client, body=NewAsset(name="Crane 7", tags=["crane"]))
    assert isinstance(made, AssetItem), made

    page = list_assets.sync(client=client, limit=1)
    assert isinstance(page, AssetList), page
    assert [asset.id for asset in page.data] == [made.id]

    named = client.get_httpx_client().get("/v1/assets", params={"fields": "id,name", "limit": 1})
    assert named.json()["data"] == [{"id": made.id, "name": "Crane 7"}], named.text

    refused = get_asset.sync("ast_00000000000000000000000000", client=client)
    assert isinstance(refused, ProblemDocument), refused
    print(made.id, refused.code)


if __name__ == "__main__":
    main(*sys.argv[1:])
