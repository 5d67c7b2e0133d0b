"""An MCP server in FastMCP whose one tool tells who calls it, for tokens of the issuer alone."""

import os
from urllib.parse import urlsplit

import jwt
from fastmcp import FastMCP
from fastmcp.server.auth import AccessToken, RemoteAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.dependencies import get_access_token

issuer = os.environ["ISSUER"]
base_url = os.environ["BASE_URL"]


class AccessTokenVerifier(JWTVerifier):
    async def load_access_token(self, token: str) -> AccessToken | None:
        access = await super().load_access_token(token)
        if access and jwt.get_unverified_header(token).get("typ") == "at+jwt":
            return access
        return None


verifier = AccessTokenVerifier(
    jwks_uri=f"{issuer}/.well-known/jwks.json",
    algorithm="ES256",
    issuer=issuer,  # a str: AnyHttpUrl(issuer) ends with a slash and is equal to no iss
    audience=f"{base_url}/mcp",
    required_scopes=["tools"],
)
auth = RemoteAuthProvider(
    token_verifier=verifier,
    authorization_servers=[issuer],  # a str here too
    base_url=base_url,
)
mcp = FastMCP("who-am-i", auth=auth)


@mcp.tool
def whoami() -> dict:
    claims = get_access_token().claims
    return {"agent": claims["sub"], "model": claims["model"]}


if __name__ == "__main__":
    mcp.run(transport="http", port=urlsplit(base_url).port, log_level="WARNING", show_banner=False)
