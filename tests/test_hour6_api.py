"""Hour 6's application against its own OpenAPI document: schemathesis makes up requests, right and wrong ones."""

import asyncio
from functools import cache

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from checks.given.hour6_deployment import tiny_checkpoint
from solutions.hour6_deployment import create_app


@cache
def app() -> FastAPI:
    return create_app(tiny_checkpoint(0))


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        ("GET", "/health", GenerationMode.POSITIVE),
        ("POST", "/predict", GenerationMode.POSITIVE),
        ("POST", "/predict", GenerationMode.NEGATIVE),
    ],
)
def test_every_answer_is_one_that_the_document_allows(method: str, path: str, mode: GenerationMode) -> None:
    """No status 500; no status, header or body that the document does not name; what it forbids is refused."""
    operation = schemathesis.openapi.from_asgi("/openapi.json", app())[path][method]

    @settings(
        max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate()

    ask()


def test_the_document_says_what_the_limits_are() -> None:
    schemas = app().openapi()["components"]["schemas"]
    assert schemas["OneText"]["properties"]["text"]["maxLength"] == 10_000
    assert schemas["ManyTexts"]["properties"]["texts"]["maxItems"] == 64
    assert schemas["ManyTexts"]["properties"]["texts"]["minItems"] == 1


@pytest.mark.parametrize(
    "content",
    [b'{"text": NaN}', b'{"text": "\\ud800"}', b'{"\\ud800": 1}', b'{"texts": ["' + b"a" * 20_000 + b'"]}'],
    ids=["not a number", "half a character", "half a character for a key", "twenty thousand"],
)
def test_a_refusal_does_not_repeat_what_it_refuses(content: bytes) -> None:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app()), base_url="http://classifier") as client:
            return await client.post("/predict", content=content, headers={"Content-Type": "application/json"})

    reply = asyncio.run(ask())
    assert reply.status_code == 422
    assert len(reply.content) < 1_000
