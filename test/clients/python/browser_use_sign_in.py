"""A browser-use agent with an action that signs it in, driven by a model that follows a script."""

import asyncio
import json
import os
from typing import Any

import httpx
from browser_use import ActionResult, Agent, BrowserSession, Tools
from browser_use.llm.views import ChatInvokeCompletion

from key_proof import issuer, prove

site = os.environ["SITE"]  # of the task, such as "shop.example"; never what a page says

tools = Tools()


@tools.action("Sign in with Auth Agent, on the page that waits for an agent")
async def sign_in(browser_session: BrowserSession) -> ActionResult:
    page = await browser_session.must_get_current_page()
    if not (await page.get_url()).startswith(f"{issuer}/authorize?"):
        return ActionResult(error=f"This page is no sign-in of {issuer}")
    shown = json.loads(await page.evaluate("() => JSON.stringify(window.authRequest ?? {})"))
    request_id, client_id = shown.get("request_id", ""), shown.get("client_id", "")
    body = {
        "request_id": request_id, "agent_assertion": prove(request_id, client_id),
        "model": "my-model", "deliver": "agent", "expected_redirect_host": site,
    }
    async with httpx.AsyncClient(timeout=30) as http:
        answer = (await http.post(f"{issuer}/api/agent/authenticate", json=body)).json()
    if "redirect_to" not in answer:
        return ActionResult(error=answer.get("error_description") or answer.get("message"))
    await page.goto(answer["redirect_to"])
    if await page.evaluate("() => location.protocol") == "chrome-error:":
        await page.goto("about:blank")  # the address of the failed page holds the code
        return ActionResult(error=f"{site} does not answer")
    return ActionResult(extracted_content=f"Signed in at {site}")


class ScriptedModel:
    """Takes the actions that it is given, one a step, and keeps all that it was sent."""

    model = model_name = name = provider = "scripted"

    def __init__(self, actions: list[dict]) -> None:
        self.actions = actions
        self.seen: list[str] = []

    async def ainvoke(self, messages: list, output_format: Any = None, **_: Any) -> Any:
        self.seen += [message.model_dump_json() for message in messages]
        step = {
            "evaluation_previous_goal": "",
            "memory": "",
            "next_goal": "",
            "action": [self.actions.pop(0)],
        }
        return ChatInvokeCompletion(completion=output_format.model_validate(step), usage=None)


async def main() -> None:
    browser = BrowserSession(cdp_url=os.environ["CDP_URL"])
    done = {"done": {"text": "done", "success": True}}
    start = {"navigate": {"url": os.environ["START"], "new_tab": False}}
    model = ScriptedModel([start, {"sign_in": {}}, done])
    agent = Agent(
        task="Sign in", llm=model, tools=tools, browser=browser, use_vision=False, use_judge=False
    )
    history = await agent.run(max_steps=4)
    print(json.dumps({
        "said": [text for text in history.extracted_content()],
        "errors": [error for error in history.errors() if error],
        "seen": model.seen,
    }))
    await browser.stop()


if __name__ == "__main__":
    asyncio.run(main())
