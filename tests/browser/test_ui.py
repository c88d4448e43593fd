"""`/ui` in a real browser over a real gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.fixtures.browser import exact, looking, table
from tests.fixtures.gateway import Config, Running, running

TERRA = "gpt-6.1-terra"
SHOP, SEARCH, ADMIN = ({"authorization": f"Bearer {key}"} for key in ("key-shop", "key-search", "admin"))
PHONE: Any = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}


def with_services(config: Config, **server: Any) -> Config:
    services = [
        {"name": "shop", "key": "key-shop", "budget": {"usd": 2.5, "window": "day"}},
        {"name": "search", "key": "key-search", "baseline_model": "claude-opus-5-5"},
    ]
    return {**config, "server": {"admin_key": "admin", **server}, "services": services}


async def busy(gateway: Running) -> None:
    """A little of everything."""
    await gateway.ask("Hello", TERRA, SHOP)
    await gateway.ask("Hello", TERRA, SHOP)
    await gateway.ask("Prove that there are infinitely many primes.", "auto:heavy", SEARCH)
    await gateway.ask("Good morning", "auto:light", SEARCH)
    await gateway.ask("Hello", "no-such-model", SHOP)


async def figures(gateway: Running, **asked: str) -> Any:
    return (await gateway.http.get("/v1/thriftgate/figures", headers=ADMIN, params=asked)).json()


async def shown(page: Page) -> None:
    """Until the first figures are there."""
    await page.wait_for_selector("#month-total [data-usd]")


async def test_every_figure_is_the_one_of_the_api(tmp_path: Path, four_providers: Config, browser: Browser) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        await busy(gateway)
        told = await figures(gateway)
        async with looking(browser, gateway.url) as page:
            assert await exact(page, "#today-total") == told["today"]["total_usd"] != "0.000000000"
            assert await exact(page, "#month-total") == told["month"]["total_usd"]
            assert await exact(page, "#saved") == told["range"]["net_saved_usd"]
            assert await exact(page, "#forecast")
            assert "5 requests" in await page.inner_text("#today-under")
            steps = await table(page, "#steps")
            divided = {}
            for name in ("service", "tier", "model", "provider", "cache", "outcome"):
                await page.click(f"#tabs button:text-is('{name}')")
                divided[name] = await table(page, "#division")
    assert steps == {
        "baseline": told["range"]["baseline_usd"],
        **{part["name"]: part["usd"] for part in told["saved_by_cause"] + told["overhead_by_kind"]},
        "cost": told["range"]["total_usd"],
    }
    for name, parts in divided.items():
        assert parts == {part["name"]: part["total_usd"] for part in told[f"by_{name}"]}, name


async def test_the_charts_are_drawn_from_the_same_figures(
    tmp_path: Path, four_providers: Config, browser: Browser
) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        await busy(gateway)
        told = await figures(gateway)
        async with looking(browser, gateway.url) as page:
            await shown(page)
            days = await page.evaluate("Chart.getChart('days').data.datasets[0].data")
            spans = await page.evaluate("Chart.getChart('waterfall').data.datasets[0].data")
            drawn = await page.evaluate(
                "() => ['days', 'waterfall'].map(id => { const c = document.getElementById(id);"
                " return new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size > 3 })"
            )
    assert days[-1] == float(told["today"]["total_usd"])
    assert spans[0] == [0, float(told["range"]["baseline_usd"])]
    assert spans[-1] == [0, float(told["range"]["total_usd"])]
    assert spans[-2][0] == pytest.approx(spans[-1][1]), "the steps end where the cost is"
    assert drawn == [True, True]


async def test_recent_requests_say_why_and_can_be_narrowed(
    tmp_path: Path, four_providers: Config, browser: Browser
) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        await busy(gateway)
        told = await figures(gateway)
        async with looking(browser, gateway.url) as page:
            await shown(page)
            rows = page.locator("#recent tr.request")
            ids = [await row.get_attribute("data-id") for row in await rows.all()]
            heavy = rows.nth(2)
            costs = await heavy.locator("[data-usd]").evaluate_all("cells => cells.map(cell => cell.dataset.usd)")
            await heavy.click()
            why = await page.inner_text("#recent tr.why:not([hidden])")
            await page.select_option("#only-cache", "hit")
            hits = await rows.count()
            await page.select_option("#only-cache", "")
            await page.fill("#search", "model_not_found")
            failed = await rows.all_inner_texts()
            await page.fill("#search", "nothing is like this")
            none = await page.inner_text("#recent")
    assert ids == [one["id"] for one in told["recent"]]
    assert costs == [told["recent"][2]["cost_usd"], told["recent"][2]["saved_usd"]]
    assert all(reason in why for reason in told["recent"][2]["reasons"])
    assert hits == 1
    assert len(failed) == 1
    assert "404" in failed[0]
    assert "None of the latest requests" in none


async def test_budgets_and_one_service_alone(tmp_path: Path, four_providers: Config, browser: Browser) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        await busy(gateway)
        search = await figures(gateway, service="search")
        used = (await figures(gateway))["budgets"][0]["usd"]["used"]
        async with looking(browser, gateway.url) as page:
            await shown(page)
            budget = page.locator("#budgets li[data-account=shop]")
            of_day = await budget.locator("[data-usd]").evaluate_all("cells => cells.map(cell => cell.dataset.usd)")
            await page.select_option("#service", "search")
            await page.wait_for_selector(f"#month-total [data-usd='{search['month']['total_usd']}']")
            services = await page.locator("#recent tr.request td[data-label=service]").all_inner_texts()
    assert of_day == [used, "2.500000000"]
    assert set(services) == {"search"}


async def test_it_goes_on_by_itself(tmp_path: Path, four_providers: Config, browser: Browser) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway, looking(browser, gateway.url) as page:
        await page.wait_for_selector("#recent:has-text('No requests yet')")
        answer = await gateway.ask("Hello", TERRA, SHOP)
        await page.wait_for_selector(f"#recent tr[data-id={answer.headers['x-request-id']}]")
        assert await exact(page, "#today-total") == answer.headers["x-thriftgate-cost-usd"]


async def test_beyond_loopback_it_asks_for_a_key_and_keeps_it_for_this_tab(
    tmp_path: Path, four_providers: Config, browser: Browser
) -> None:
    config = with_services(four_providers, host="0.0.0.0")
    async with running(tmp_path, config) as gateway:
        await busy(gateway)
        async with looking(browser, gateway.url, refused=3) as page:
            await page.wait_for_selector("#ask-key[open]")
            await page.fill("#key", "wrong")
            await page.keyboard.press("Enter")
            await page.wait_for_selector("#key-why:has-text('not known here')")
            await page.fill("#key", "admin")
            await page.keyboard.press("Enter")
            await shown(page)
            await page.reload()
            await shown(page)
            kept = await page.evaluate("[sessionStorage.length, Object.keys(localStorage).length, document.cookie]")
            assert "admin" not in page.url
            await page.click("#forget-key")
            await page.wait_for_selector("#ask-key[open]")
            forgotten = await page.evaluate("sessionStorage.length")
    assert kept == [1, 0, ""]
    assert forgotten == 0


async def test_a_services_key_shows_its_own_figures(tmp_path: Path, four_providers: Config, browser: Browser) -> None:
    config = with_services(four_providers, host="0.0.0.0")
    async with running(tmp_path, config) as gateway:
        await busy(gateway)
        own = await figures(gateway, service="shop")
        async with looking(browser, gateway.url, refused=1) as page:
            await page.wait_for_selector("#ask-key[open]")
            await page.fill("#key", "key-shop")
            await page.keyboard.press("Enter")
            assert await exact(page, "#month-total") == own["month"]["total_usd"]
            assert await table(page, "#division") == {"shop": own["month"]["total_usd"]}


async def test_it_is_dark_where_the_system_is_and_remembers_what_was_chosen(
    tmp_path: Path, four_providers: Config, browser: Browser
) -> None:
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    async with running(tmp_path, with_services(four_providers)) as gateway:
        async with looking(browser, gateway.url, color_scheme="light") as page:
            light = await page.evaluate(paper)
        async with looking(browser, gateway.url, color_scheme="dark") as page:
            await shown(page)
            dark = await page.evaluate(paper)
            await page.click("#theme")
            chosen = await page.evaluate(paper)
            await page.reload()
            kept = await page.evaluate(paper)
    assert brightness(dark) < 60 < 200 < brightness(light)
    assert light == chosen == kept


async def test_it_fits_a_phone(tmp_path: Path, four_providers: Config, browser: Browser) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        await busy(gateway)
        async with looking(browser, gateway.url, **PHONE) as page:
            await shown(page)
            await page.wait_for_selector("#recent tr.request")
            widest = await page.evaluate(
                "Math.max(...[...document.querySelectorAll('main *')].map(e => e.getBoundingClientRect().right))"
            )
            scrolls = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
            await page.tap("#recent tr.request >> nth=0")
            why = await page.is_visible("#recent tr.why >> nth=0")
    assert widest <= 390
    assert not scrolls
    assert why


def brightness(colour: str) -> float:
    """Of `rgb(r, g, b)`: their mean."""
    parts = [float(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    return sum(parts) / 3
