"""Room: contract. The page, seen through a real browser: what a person reads, types and is told."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from phase1_docker_api.model.artifact import save_model
from phase1_docker_api.schemas import OPTIONAL_FIELDS, REQUIRED_FIELDS, House
from phase1_docker_api.service.launch import running_service
from phase1_docker_api.service.pages import PATHS, SWAGGER_UI
from phase1_docker_api.testing import FROZEN_UNTIL, train_frozen
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

CHROMIUM = "CHROMIUM_PATH"
# Names on the path, and where macOS keeps it.
CHROMIUMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
# A browser that asks nobody else for anything, so that what is asked for is the page's doing.
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NARROW = {"width": 360, "height": 740}
PAGE = {
    file.name: file.read_text() for file in (files("phase1_docker_api.service") / "page").iterdir() if file.is_file()
}
MINIMAL = {"land_area_sqft": 5000, "bedrooms": 3}


def find_chromium() -> str:
    """The browser to test with. A laptop may lack one; CI may not, or these tests would pass unseen."""
    found = os.environ.get(CHROMIUM) or next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if found:
        return found
    reason = f"no Chromium or Chrome here: sudo apt-get install chromium, or set {CHROMIUM} to the one you have"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    program = find_chromium()
    expect.set_options(timeout=20_000)  # a machine that is busy with other tests is slow, not wrong
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=program, args=[*QUIET, *as_root])


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """The page in a window of its own, which in the end must have caused no complaint and asked no other host."""
    complaints: list[str] = []
    context = browser.new_context(**{"locale": "en-US", "reduced_motion": "reduce", **options})
    page = context.new_page()
    # The browser also logs each answer that is not 2xx; those to GET are found below, those to POST are tests' aim.
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda a: complaints.append(a.url) if a.request.method == "GET" and a.status >= 400 else None)
    page.on("request", lambda asked: complaints.append(asked.url) if is_elsewhere(asked.url, url) else None)
    page.goto(url)
    expect(page.locator("#house, #swagger-ui .opblock").first).to_be_visible()
    yield page
    context.close()
    assert [said for said in complaints if not said.startswith("Failed to load resource")] == []


def is_elsewhere(asked: str, url: str) -> bool:
    return urlsplit(asked).scheme != "data" and urlsplit(asked).netloc != urlsplit(url).netloc


@pytest.fixture
def page(browser: Browser, service_url: str) -> Iterator[Page]:
    with opened(browser, service_url) as page:
        yield page


def fill(page: Page, **values: object) -> None:
    """Type into fields; the section of those that are optional is opened when one of them is named."""
    if set(values) & set(OPTIONAL_FIELDS):
        page.locator("#more").evaluate("more => { more.open = true }")
    for name, value in values.items():
        page.locator(f"#{name}").fill(str(value))


def submit(page: Page, **values: object) -> None:
    fill(page, **values)
    page.locator("#house button[type=submit]").click()


def estimate(page: Page, **values: object) -> None:
    submit(page, **values)
    expect(page.locator(".price")).to_be_visible()


def sent(page: Page) -> dict[str, Any]:
    """Submit, and give what the service was sent."""
    with page.expect_request("**/predict") as asked:
        submit(page)
    body: dict[str, Any] = asked.value.post_data_json
    return body


def three_digits(usd: float) -> str:
    return f"${float(f'{usd:.3g}'):,.0f}"


def middle(page: Page, selector: str) -> float:
    """Where an element of the drawn range stands, in pixels from the start of the scale."""
    box, scale = (page.locator(s).bounding_box() for s in (selector, ".scale"))
    assert box
    assert scale
    return box["x"] + box["width"] / 2 - scale["x"]


def edges(page: Page) -> tuple[float, float]:
    box, scale = (page.locator(s).bounding_box() for s in (".range", ".scale"))
    assert box
    assert scale
    return box["x"] - scale["x"], box["x"] + box["width"] - scale["x"]


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong."""
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {node['html']}: {node['failureSummary']}" for v in found for node in v["nodes"]]


def asset_paths() -> list[str]:
    return [PATHS.get(name, f"/page/{name}") for name in (*PAGE, *SWAGGER_UI)]


@pytest.mark.parametrize("path", asset_paths())
def test_every_file_of_the_page_comes_under_a_policy_that_lets_nothing_in_from_elsewhere(
    client: httpx.Client, path: str
) -> None:
    answer = client.get(path)
    again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    other = client.get(path, headers={"If-None-Match": '"another"'})

    kind = {"": "text/html", ".css": "text/css", ".js": "text/javascript"}[Path(path).suffix]
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"
    assert (answer.status_code, again.status_code, other.status_code) == (200, 304, 200)
    assert again.content == b""


def test_the_page_shows_the_price_and_the_range_that_the_service_gives(page: Page, client: httpx.Client) -> None:
    answer = client.post("/predict", json=MINIMAL).json()
    low, high = answer["interval_usd"]["low"], answer["interval_usd"]["high"]

    estimate(page, **MINIMAL)

    assert float(page.locator(".price data").get_attribute("value") or 0) == answer["price_usd"]
    expect(page.locator(".price")).to_have_text(three_digits(answer["price_usd"]))
    in_words = page.locator(".band").get_attribute("aria-label") or ""
    assert all(three_digits(usd) in in_words for usd in (low, high, answer["price_usd"]))
    assert page.locator("#told").inner_text().count("$") == 3
    expect(page.locator("#estimate")).to_contain_text("90%")
    # The scale starts at zero, so places stand to each other as the prices do.
    start, end = edges(page)
    assert end / start == pytest.approx(high / low, rel=0.02)
    assert middle(page, ".mark") / start == pytest.approx(answer["price_usd"] / low, rel=0.02)


def test_the_page_lists_what_was_assumed_and_what_to_be_wary_of(page: Page, client: httpx.Client) -> None:
    asked = MINIMAL | {"bathrooms": 12, "neighborhood": "A12"}
    answer = client.post("/predict", json=asked).json()

    fill(page, **MINIMAL, bathrooms=12)
    page.locator("#neighborhood").select_option("A12")
    estimate(page)

    listed = page.locator("#estimate dl")
    assert listed.locator("dt").count() == len(answer["assumed"]) == 8
    expect(listed).to_contain_text(f"{answer['assumed']['living_area_sqft']:,.0f}\u00a0sqft")
    expect(listed).to_contain_text("Single-family house")
    expect(page.locator(".warnings")).to_contain_text("Bathrooms: the model has only seen")


def test_the_page_tells_the_model_s_age_and_that_its_ranges_have_failed(page: Page, client: httpx.Client) -> None:
    card = client.get("/model").json()
    years = [s for s in card["scores"] if s["request"] == "complete" and len(s["period"]) == 4]

    trust = page.locator("#trust")

    expect(trust).to_contain_text(f"until December {FROZEN_UNTIL.year}")
    expect(trust).to_contain_text("The market has moved on")
    rows = [row.inner_text().split() for row in trust.locator("tbody tr").all()]
    assert rows == [[s["period"], f"{s['median_abs_error_pct']:.0f}%", f"{s['coverage'] * 100:.0f}%"] for s in years]


def test_the_form_has_the_fields_limits_and_categories_of_the_service(page: Page, client: httpx.Client) -> None:
    card = client.get("/model").json()

    names = page.locator("#house [name]").evaluate_all("all => all.map(one => one.name)")

    assert names == list(House.model_fields)
    assert page.locator("#required [name]").count() == len(REQUIRED_FIELDS)
    options = page.locator("#neighborhood option").evaluate_all("all => all.map(one => one.value)")
    assert options == ["", *card["categories"]["neighborhood"]]
    low, high = card["ranges"]["land_area_sqft"]
    expect(page.locator("#land_area_sqft-hint")).to_contain_text(f"{low:,.0f} to {high:,.0f}\u00a0sqft")


def test_areas_in_square_metres_reach_the_service_in_square_feet(page: Page) -> None:
    fill(page, land_area_sqft="5,000", bedrooms=3)

    page.get_by_label("m²").check(force=True)
    converted = page.locator("#land_area_sqft").input_value()
    kept = sent(page)
    typed = sent_after_typing(page, "1,000")
    page.get_by_label("sqft").check(force=True)

    assert converted == "464.5"
    assert kept["land_area_sqft"] == 5000
    assert typed["land_area_sqft"] == pytest.approx(10763.91)
    assert page.locator("#land_area_sqft").input_value() == "10764"


def sent_after_typing(page: Page, land_area: str) -> dict[str, Any]:
    fill(page, land_area_sqft=land_area)
    return sent(page)


@pytest.mark.parametrize(
    ("text", "language", "most", "number"),
    [
        ("5,000", "en", 1e7, 5000),
        ("5,000.5", "en", 1e7, 5000.5),
        ("5.000", "id", 1e7, 5000),
        ("1.234.567,8", "id", 1e7, 1234567.8),
        ("0,75", "id", 20, 0.75),
        ("0.75", "id", 20, 0.75),
        ("0.750", "id", 1e7, 0.75),
        ("47.661", "id", 90, 47.661),
        ("\u2212122,317", "id", 180, -122.317),
        (" 5 000 ", "en", 1e7, 5000),
        ("1.000,5", "en", 1e7, None),
        ("three", "en", 20, None),
        ("1e3", "en", 1e7, None),
    ],
)
def test_a_number_is_read_as_the_person_who_typed_it_means_it(
    page_for_looks: Page, text: str, language: str, most: float, number: float | None
) -> None:
    read = page_for_looks.evaluate(
        "async (given) => (await import('/page/quantities.js')).parseNumber(...given)", [text, language, most]
    )

    assert read == number


@pytest.fixture(scope="module")
def page_for_looks(browser: Browser, service_url: str) -> Iterator[Page]:
    """A page that tests only look at."""
    with opened(browser, service_url) as page:
        yield page


def test_a_wrong_value_is_told_at_its_field_and_forgotten_once_it_is_right(page: Page) -> None:
    submit(page, land_area_sqft=5000, bedrooms="three", living_area_sqft=170)
    page.locator("#more").evaluate("more => { more.open = false }")

    expect(page.locator("[aria-invalid=true]")).to_have_count(2)
    expect(page.locator("#bedrooms")).to_be_focused()
    expect(page.locator("#bedrooms")).to_have_accessible_description(re.compile("^Please enter a number"))
    expect(page.locator("#living_area_sqft-problem")).to_have_text("Please enter 300\u00a0sqft or more.")
    expect(page.get_by_role("alert")).to_contain_text("2 fields need another look.")
    expect(page.get_by_role("alert")).to_contain_text("got 'three'")
    page.get_by_label("m²").check(force=True)
    expect(page.locator("#living_area_sqft-problem")).to_have_text("Please enter 27.9\u00a0m² or more.")

    submit(page, bedrooms=3)
    expect(page.locator("#living_area_sqft")).to_be_focused()  # in the section that was closed
    estimate(page, living_area_sqft=150)
    expect(page.locator("[aria-invalid]")).to_have_count(0)
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_field_left_empty_is_asked_for(page: Page) -> None:
    submit(page)

    expect(page.locator("#land_area_sqft")).to_be_focused()
    expect(page.locator(".problem:not(:empty)")).to_have_text(["Please fill this in."] * len(REQUIRED_FIELDS))


def refused(status: int, field: str, **headers: str) -> Any:
    """Answer in the service's place, in the form it refuses with."""
    problem = {"field": field, "problem": "it is haunted", "hint": "call an exorcist"}
    body = json.dumps({"problems": [problem], "request_id": "7"})

    def answer(route: Route) -> None:
        route.fulfill(status=status, body=body, headers={"Content-Type": "application/json", **headers})

    return answer


def test_a_problem_that_only_the_service_knows_is_told_in_its_words(page: Page) -> None:
    page.route("**/predict", refused(422, "neighborhood"))

    fill(page, **MINIMAL, bathrooms=1)
    page.locator("#neighborhood").select_option("A12")
    submit(page)

    expect(page.locator("#neighborhood")).to_be_focused()
    expect(page.locator("#neighborhood-problem")).to_have_text("it is haunted. call an exorcist")
    expect(page.locator("#neighborhood-problem")).to_have_attribute("lang", "en")


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (503, {"Retry-After": "4"}, "wait for 4 s"),
        (503, {}, "busy or about to stop"),
        (500, {}, "could not answer (status 500)"),
    ],
)
def test_a_service_that_cannot_answer_is_told_in_words(
    page: Page, status: int, headers: dict[str, str], words: str
) -> None:
    page.route("**/predict", refused(status, "service", **headers))

    submit(page, **MINIMAL)

    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.get_by_role("alert")).to_be_focused()


def test_too_much_text_is_told_in_words(page: Page) -> None:
    submit(page, land_area_sqft="a" * 70_000, bedrooms="3")

    expect(page.get_by_role("alert")).to_contain_text("Please shorten what you entered")


@pytest.mark.slow  # it starts a service of its own
def test_a_stopped_service_is_told_in_words(browser: Browser, linear_artifact: Path) -> None:
    with running_service(linear_artifact) as (url, process), opened(browser, url) as page:
        process.terminate()
        process.wait(20)
        submit(page, **MINIMAL)

        expect(page.get_by_role("alert")).to_contain_text("The service does not answer")


def test_a_page_that_could_not_read_the_card_can_try_again(browser: Browser, service_url: str) -> None:
    page = browser.new_context().new_page()
    page.route("**/model", lambda route: route.abort())
    page.goto(service_url)
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    page.unroute("**/model")
    page.get_by_role("button", name="Try again").click()

    expect(page.locator("#house")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_empty()
    page.context.close()


# Where the focus is, and whether one can see it: a radio button shows it on the text behind it.
FOCUS = """
() => {
  const at = document.activeElement;
  const style = getComputedStyle(at.type === "radio" ? at.nextElementSibling : at);
  const isSeen = style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2;
  return [at.id || at.value || at.textContent.trim(), isSeen];
}
"""


def test_the_keyboard_alone_is_enough_and_the_focus_is_always_seen(page: Page) -> None:
    stops = []

    def tab(typed: str = "") -> None:
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUS))
        page.keyboard.type(typed)

    tab()
    page.keyboard.press("ArrowRight")
    expect(page.locator("html")).to_have_attribute("lang", "id")
    page.keyboard.press("ArrowLeft")
    tab()
    tab("5000")
    tab("3")
    tab()
    page.keyboard.press("Enter")
    tab("1800")
    tab("2")
    for _ in range(10):
        tab()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")

    expect(page.locator(".price")).to_be_visible()
    names = [name for name, _ in stops]
    before, after = ["en", "sqft", *REQUIRED_FIELDS, "Add what you know"], ["Estimate the price", "example"]
    assert names == [*before, *OPTIONAL_FIELDS, *after]
    assert [name for name, is_seen in stops if not is_seen] == []


@pytest.mark.parametrize("locale", ["en-US", "id-ID"])
def test_a_narrow_page_never_scrolls_sideways(browser: Browser, service_url: str, locale: str) -> None:
    with opened(browser, service_url, viewport=NARROW, locale=locale) as page:
        widths = [page.evaluate("document.documentElement.scrollWidth")]
        estimate(page, land_area_sqft=900, bedrooms=3, bathrooms=12)
        widths.append(page.evaluate("document.documentElement.scrollWidth"))
        submit(page, living_area_sqft="9" * 60)
        expect(page.locator("[aria-invalid]")).to_be_visible()
        page.locator("#failure summary").click()
        widths.append(page.evaluate("document.documentElement.scrollWidth"))

    assert widths == [NARROW["width"]] * 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(browser: Browser, service_url: str, scheme: str) -> None:
    with opened(browser, service_url, color_scheme=scheme) as page:
        assert violations(page) == []
        estimate(page, **MINIMAL, bathrooms=12)
        assert violations(page) == []
        submit(page, bedrooms="three", living_area_sqft=170)
        expect(page.locator("[aria-invalid]")).to_have_count(2)
        page.locator("#failure summary").click()
        assert violations(page) == []


def test_axe_finds_the_barriers_it_is_asked_to_find(page: Page) -> None:
    page.locator("label[for=bedrooms]").evaluate("label => label.remove()")
    page.locator(".lead").first.evaluate("lead => { lead.style.color = '#bbb' }")

    found = violations(page)

    assert {line.split(":")[0] for line in found} >= {"label", "color-contrast"}


@pytest.mark.parametrize(("motion", "moves"), [("reduce", False), ("no-preference", True)])
def test_nothing_moves_for_those_who_want_no_motion(
    browser: Browser, service_url: str, motion: str, moves: bool
) -> None:
    with opened(browser, service_url, reduced_motion=motion) as page:
        estimate(page, **MINIMAL)
        lasts = page.locator(".range").evaluate("range => parseFloat(getComputedStyle(range).transitionDuration)")

    assert (lasts > 0) is moves


def texts(page: Page) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = page.evaluate("async () => (await import('/page/texts.js')).TEXTS")
    return found


def test_every_text_is_there_in_both_languages(page_for_looks: Page) -> None:
    english, indonesian = texts(page_for_looks)["en"], texts(page_for_looks)["id"]

    assert list(english) == list(indonesian)
    assert [key for key in english if english[key] == indonesian[key]] == []
    blanks = [{key: sorted(re.findall(r"{\w+}", said)) for key, said in t.items()} for t in (english, indonesian)]
    assert blanks[0] == blanks[1]
    assert {f"field.{name}" for name in House.model_fields} <= set(english)


def test_every_text_is_used_and_every_text_that_is_used_is_there(page_for_looks: Page) -> None:
    code = "\n".join(content for name, content in PAGE.items() if name != "texts.js")
    keys = set(texts(page_for_looks)["en"])
    kinds = "|".join({key.split(".")[0] for key in keys})

    used = set(re.findall(rf'"((?:{kinds})\.[a-z_]+)"', code))

    looked_up = {key for key in keys if key.split(".")[0] in ("field", "hint", "value", "warning")}
    assert used | looked_up == keys
    assert all(f"`{kind}.${{" in code for kind in ("field", "hint", "value", "warning"))


def test_a_switch_of_language_translates_what_is_on_the_page_and_is_remembered(page: Page) -> None:
    words = {language: set(said.values()) for language, said in texts(page).items()}
    submit(page, land_area_sqft=5000, bedrooms="three")
    expect(page.locator("[aria-invalid]")).to_have_count(1)
    fill(page, bathrooms="2.5")

    page.get_by_label("Indonesia").check(force=True)

    expect(page.locator("html")).to_have_attribute("lang", "id")
    expect(page.locator("#bedrooms-problem")).to_have_text("Mohon masukkan angka.")
    expect(page.locator("#bathrooms")).to_have_value("2,5")
    assert set(lines_of(page)) & words["en"] == set()
    estimate(page, bedrooms=3)
    assert set(lines_of(page)) & words["en"] == set()
    expect(page.locator(".price")).to_have_text(re.compile(r"^US\$\s?\d{3}\.000$"))
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "id")
    expect(page.locator("h1")).to_have_text(texts(page)["id"]["page.heading"])


def lines_of(page: Page) -> list[str]:
    return [*page.locator("body").inner_text().splitlines(), page.title()]


@pytest.mark.parametrize(
    ("locale", "language", "areas"), [("id-ID", "id", "m2"), ("en-GB", "en", "sqft"), ("fr", "en", "sqft")]
)
def test_the_page_opens_in_the_browser_s_language(
    browser: Browser, service_url: str, locale: str, language: str, areas: str
) -> None:
    with opened(browser, service_url, locale=locale) as page:
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(page.locator(f"[name=areas][value={areas}]")).to_be_checked()


@pytest.fixture(scope="module")
def village_url(seattle_sales: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service for a place whose file has few columns, and no sales after those it was trained on."""
    columns = ["sale_date", "price", "land_area_sqft", "bedrooms", "living_area_sqft", "year_built"]
    until = seattle_sales["sale_date"] <= pd.Timestamp(FROZEN_UNTIL)
    model = train_frozen(seattle_sales.loc[until, columns], "linear")
    with running_service(save_model(model, tmp_path_factory.mktemp("village"))) as (url, _):
        yield url


@pytest.mark.slow  # it starts a service of its own
def test_another_city_s_page_shows_only_what_its_model_uses(browser: Browser, village_url: str) -> None:
    with opened(browser, village_url) as page:
        names = page.locator("#house [name]").evaluate_all("all => all.map(one => one.name)")
        estimate(page, **MINIMAL, living_area_sqft=1800)

        assert names == ["land_area_sqft", "bedrooms", "living_area_sqft", "year_built"]
        expect(page.locator("#estimate dt")).to_have_text(["Year built"])
        expect(page.locator("#trust")).to_contain_text("not been tested on later sales")
        expect(page.locator("#trust table")).to_have_count(0)
        assert violations(page) == []


def test_the_documentation_shows_and_tries_every_route_without_asking_anybody_else(
    browser: Browser, client: httpx.Client, service_url: str
) -> None:
    document = client.get("/openapi.json").json()
    routes = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    with opened(browser, f"{service_url}/docs") as page:
        shown = page.locator(".opblock-summary").evaluate_all(
            "all => all.map(one => ['method', 'path'].map(part => one.querySelector(`.opblock-summary-${part}`)"
            ".textContent.replaceAll('\u200b', '')).join(' '))"
        )
        page.locator("#operations-prices-predict_predict_post").get_by_text("/predict").click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute", exact=True).click()

        assert set(shown) == routes
        expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_browser_is_a_failure_in_ci_and_a_reason_to_skip_elsewhere(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv(CHROMIUM, raising=False)
    monkeypatch.setenv("CI", ci)

    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match="apt-get install chromium") as raised:
        find_chromium()

    assert raised.type is outcome
