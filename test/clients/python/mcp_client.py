"""An MCP host: calls `whoami` of an MCP server whose URL it is given, signing in where it is told to."""

import asyncio
import json
import os
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import ClientSession
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

redirect_uris = ["http://127.0.0.1:51234/callback"]


class Storage:
    tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull:
        return OAuthClientInformationFull(
            client_id=os.environ["CLIENT_ID"],
            redirect_uris=redirect_uris,
            token_endpoint_auth_method="none",
            issuer=os.environ["ISSUER"],
        )

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise NotImplementedError


async def redirect(url: str) -> None:
    print(url, flush=True)


async def come_back() -> AuthorizationCodeResult:
    query = parse_qs(urlsplit(await asyncio.to_thread(input)).query)
    return AuthorizationCodeResult(**{name: query[name][0] for name in ("code", "state", "iss")})


async def main() -> None:
    url = os.environ["RESOURCE"]
    metadata = OAuthClientMetadata(
        client_name="MCP host", redirect_uris=redirect_uris, token_endpoint_auth_method="none"
    )
    auth = OAuthClientProvider(url, metadata, Storage(), redirect, come_back)
    async with (
        httpx2.AsyncClient(auth=auth, timeout=60) as http_client,
        streamable_http_client(url, http_client=http_client) as (read, write, *_),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        answer = await session.call_tool("whoami")
        print(json.dumps(answer.model_dump(by_alias=True, mode="json")), flush=True)


asyncio.run(main())
