"""The report as somebody sees it, in headless Chromium: content, interaction, both widths, a million events."""
import importlib.util
import json
import re
import subprocess
import sys
import time

import perfetto_format
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

CLS = ["--shape", "x=1x3x48x192", "--no-data"]
# A loaded machine with two cores; an idle one needs a tenth of that.
FRAME_MS_MOST, READY_MS_MOST = 200, 15_000


def run_presil(presil, *arguments):
    done = subprocess.run([presil, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def model(root):
    return root / ".cache/models/ch_ppocr_mobile_v2.0_cls_infer.onnx"


@pytest.fixture(scope="module")
def made(presil, model, tmp_path_factory):
    """A run's JSON, its report, and its trace in both forms."""
    folder = tmp_path_factory.mktemp("report")
    result = json.loads(run_presil(presil, "run", model, *CLS, "--json", "--report", folder / "r.html",
                                   "--trace", folder / "r.trace"))
    run_presil(presil, "report", folder / "r.trace", "-o", folder / "r.pftrace")
    return result, folder


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1440,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def resize(browser, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def open_page(browser, path, width=1440):
    resize(browser, width)
    browser.get(f"file://{path}")
    deadline = time.monotonic() + 60
    while not browser.execute_script("return window.presilReport?.readyMs > 0"):
        assert time.monotonic() < deadline, f"not ready: {browser.get_log('browser')}"
        time.sleep(0.05)


@pytest.fixture
def page(browser, made):
    open_page(browser, made[1] / "r.html")
    yield browser
    assert browser.get_log("browser") == [], "console errors"


def view(page):
    return page.execute_script("const v = presilReport.view; return [v.from, v.to]")


def settle(page):
    page.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))")


# --- content ---------------------------------------------------------------------------------------------------------


def percents(text):
    return [float(number) for number in re.findall(r"([\d.]+)\s%", text)]


def test_headline_says_time_bound_ideal_and_confidence(page, made):
    result = made[0]
    headline = page.find_element(By.CSS_SELECTOR, "header.headline").text
    assert page.find_element(By.ID, "time").text == f"{result['seconds'] * 1e6:.0f} µs"
    assert "ch_ppocr_mobile_v2.0_cls_infer.onnx on one trn2 core, fp32" in headline
    assert f"{result['ideal_seconds'] * 1e6:.2f} µs" in headline
    assert "derived" in headline and "presil validate --suite core" in headline
    bound = page.find_element(By.ID, "bound-by").text
    assert (result["bound_by"] in bound), bound


def test_every_layer_is_there_with_its_share(page, made):
    layers = made[0]["layers"]
    page.find_element(By.CSS_SELECTOR, "#layers .more").click()
    rows = [row.text for row in page.find_elements(By.CSS_SELECTOR, "#layers tbody tr")]
    assert len(rows) == len(layers)
    longest = max(layers, key=lambda layer: layer["seconds"])
    assert longest["name"] in rows[0] and f"{100 * longest['share']:.1f}" in rows[0]
    assert sum(percents(row)[0] for row in rows) == pytest.approx(100, abs=0.05 * len(rows))


def test_busy_and_waits_sum_to_the_whole(page, made):
    rows = page.find_elements(By.CSS_SELECTOR, "#engines tbody tr")
    assert len(rows) == len(made[0]["engines"])
    for row in rows:
        numbers = [percents(cell.text)[0] for cell in row.find_elements(By.CSS_SELECTOR, "td.number") if cell.text]
        assert numbers[-1] == 100.0, row.text
        assert sum(numbers[:-1]) == pytest.approx(100, abs=0.05 * len(numbers)), row.text


def test_every_value_of_the_chip_has_a_source(page, root):
    shown = page.execute_script("return presilReport.run.fields")
    documented = re.findall(r"^\| `(\w+)` \|", (root / "docs/reference/chip.md").read_text(), re.M)
    assert [key for _, key, _, _ in shown] == documented
    for section, key, value, source in shown:
        # The sync engine's empty lists of memories need none.
        assert re.match("(source|fitted|assumed): ", source) or value == "[]", f"{section}.{key}: {source}"
    details = page.find_elements(By.CSS_SELECTOR, "#chip details tbody tr")
    assert len(details) == len(documented)


def test_critical_path_is_the_whole_run(page, made):
    path = page.execute_script("return presilReport.run.path")
    assert sum(row["seconds"] for row in path) == pytest.approx(made[0]["seconds"], rel=1e-9)
    shown = page.find_elements(By.CSS_SELECTOR, "#path tbody tr")
    assert len(shown) == len(path)


def test_memories_show_tensors_over_time(page):
    memories = page.execute_script("return presilReport.tables.memories")
    assert [m["memory"] for m in memories] == ["SBUF", "PSUM"]
    charts = page.find_elements(By.CSS_SELECTOR, "#memory canvas")
    assert len(charts) == 2
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", charts[0])
    ActionChains(page).move_to_element(charts[0]).perform()
    tip = page.find_element(By.CSS_SELECTOR, "#memory .tooltip:not([hidden])").text
    assert "constant " in tip or "result of " in tip or "input " in tip, tip


def test_roofline_has_a_circle_per_multiplying_layer(page, made):
    multiplying = [layer for layer in made[0]["layers"] if layer["macs"] > 0 and layer["seconds"] > 0]
    assert len(page.find_elements(By.CSS_SELECTOR, "#roofline circle.layer")) == len(multiplying)


# --- interaction -----------------------------------------------------------------------------------------------------


def column(page, number):
    return [row.text for row in page.find_elements(By.CSS_SELECTOR, f"#layers tbody td:nth-child({number})")]


def test_headings_sort_by_click_and_by_key(page):
    page.find_element(By.CSS_SELECTOR, "#layers .more").click()
    macs = page.execute_script("return presilReport.run.layers.map(l => l.macs).sort((a, b) => b - a)")
    heading = page.find_element(By.XPATH, "//section[@id='layers']//th[button[text()='macs']]")
    heading.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "descending"
    names = page.execute_script("return presilReport.run.layers.map(l => [l.name, l.macs])")
    by_name = dict(names)
    assert [by_name[name] for name in column(page, 2)] == macs
    heading.find_element(By.TAG_NAME, "button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [by_name[name] for name in column(page, 2)] == macs[::-1]


def canvas(page):
    element = page.find_element(By.CSS_SELECTOR, "#timeline canvas")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return element


def test_zoom_and_pan_by_wheel_drag_and_key(page):
    whole = view(page)
    element = canvas(page)
    element.click()
    ActionChains(page).scroll_from_origin(ScrollOrigin.from_element(element), 0, -600).perform()
    settle(page)
    zoomed = view(page)
    assert zoomed[1] - zoomed[0] < 0.5 * (whole[1] - whole[0])
    ActionChains(page).move_to_element(element).click_and_hold().move_by_offset(-200, 0).release().perform()
    panned = view(page)
    assert panned[0] > zoomed[0] and panned[1] - panned[0] == pytest.approx(zoomed[1] - zoomed[0])
    element.send_keys("-")
    assert view(page)[1] - view(page)[0] == pytest.approx(2 * (zoomed[1] - zoomed[0]))
    element.send_keys("0")
    assert view(page) == whole


def test_the_page_scrolls_over_a_timeline_that_nobody_uses(page):
    element = canvas(page)
    page.execute_script("document.activeElement.blur()")
    before = page.execute_script("return scrollY")
    ActionChains(page).scroll_from_origin(ScrollOrigin.from_element(element), 0, 200).perform()
    time.sleep(0.3)
    assert page.execute_script("return scrollY") > before and view(page)[0] == 0


def released_by(page, release):
    """An event that was released so, brought into view."""
    return page.execute_script(
        """const {events, tables, view} = presilReport, kind = tables.releases.indexOf(arguments[0]);
           let event = -1;
           for (let i = 0; i < events.count; ++i)
             if (events.release[i] === kind && events.until[i] - events.start[i] > 1000
                 && (event < 0 || events.until[i] - events.start[i] > events.until[event] - events.start[event])) event = i;
           view.center((events.start[event] + events.until[event]) / 2, 20 * (events.until[event] - events.start[event]));
           return event""",
        release,
    )


def hover(page, event):
    element = canvas(page)
    settle(page)
    place = page.execute_script("return presilReport.timeline.place(arguments[0])", event)
    box = element.size
    ActionChains(page).move_to_element_with_offset(
        element, round(place["x"] - box["width"] / 2), round(place["y"] - box["height"] / 2)).perform()
    return element


@pytest.mark.parametrize("release, says", [
    ("semaphore", r"released by\s+semaphore \d+, raised by core0\.\w+: "),
    ("queue", r"released by\s+its queue: core0\.\w+: .* came before it"),
    ("trigger", r"released by\s+its trigger core0\.\w+: .*, \d+ ns before"),
    ("table_load", r"released by\s+loading its activation table \(1\.2\d µs\), after "),
])
def test_hovering_says_what_released_the_start(page, release, says):
    event = released_by(page, release)
    assert event >= 0
    hover(page, event)
    tip = page.find_element(By.CSS_SELECTOR, "#timeline .tooltip:not([hidden])").text
    assert re.search(says, tip), tip
    assert re.search(r"layer\s+\S", tip) and re.search(r"ONNX node\s+\S", tip) and re.search(r"instruction\s+\w+ ", tip), tip


def test_clicking_follows_causes_back(page):
    event = released_by(page, "semaphore")
    hover(page, event)
    ActionChains(page).click().perform()
    assert page.execute_script("return presilReport.timeline.selected") == event
    button = page.find_element(By.XPATH, "//div[@id='details']//button[starts-with(., 'Go to what released it')]")
    button.click()
    cause = page.execute_script("return presilReport.events.cause[arguments[0]]", event)
    assert page.execute_script("return presilReport.timeline.selected") == cause
    assert page.execute_script("return presilReport.story.brief(arguments[0])", cause) in page.find_element(By.ID, "details").text


def test_perfetto_has_the_same_names(page, made, root):
    trace = perfetto_format.read(root, (made[1] / "r.pftrace").read_bytes())
    tracks, names, expected = {}, {}, {}
    for packet in trace.packet:
        names.update({n.iid: n.name for n in packet.interned_data.event_names})
        if packet.HasField("track_descriptor"):
            tracks[packet.track_descriptor.uuid] = packet.track_descriptor.name
        if packet.track_event.type == 1:
            key = f"{tracks[packet.track_event.track_uuid]}: {names[packet.track_event.name_iid]}"
            expected[key] = expected.get(key, 0) + 1
    shown = page.execute_script(
        """const counts = {};
           for (let i = 0; i < presilReport.events.count; ++i) {
             const key = presilReport.story.brief(i);
             counts[key] = (counts[key] ?? 0) + 1;
           }
           return counts""")
    assert shown == expected


# --- what to change --------------------------------------------------------------------------------------------------

def exported(root, name):
    """The file of a network that PyTorch exports."""
    path = root / f".cache/models/{name}.onnx"
    if importlib.util.find_spec("torch"):
        subprocess.run([sys.executable, "tools/export_models.py", name], cwd=root, check=True)
    elif not path.exists():
        pytest.skip("needs PyTorch: ./dev setup --models")
    return path


WORKLOADS = {
    "MobileNetV3-small": ["run", "mobilenet_v3_small", "--dim", "batch=1", "--no-data"],
    "text direction": ["run", "ch_ppocr_mobile_v2.0_cls_infer.onnx", *CLS],
    "text recognition": ["run", "ch_PP-OCRv4_rec_infer.onnx", "--shape", "x=1x3x48x320", "--no-data"],
    "gemm": "bench gemm --m 1024 --n 1024 --k 1024 --no-data".split(),
    "elementwise": ["bench", "elementwise", "--bytes", "16 MiB", "--no-data"],
}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_rerun_confirms_the_recommendation(browser, presil, root, tmp_path, workload):
    arguments = [root / ".cache/models" / a if a.endswith(".onnx") else a for a in WORKLOADS[workload]]
    if workload == "MobileNetV3-small":
        arguments[1] = exported(root, arguments[1])
    before = json.loads(run_presil(presil, *arguments, "--json", "--report", tmp_path / "r.html"))["seconds"]
    open_page(browser, tmp_path / "r.html")
    recommended = browser.find_element(By.ID, "recommendation")
    predicted = percents(recommended.text)[0] / 100
    (tmp_path / "faster.toml").write_text(browser.find_element(By.CSS_SELECTOR, "#change .file pre").text)
    after = json.loads(run_presil(presil, *arguments, "--json", "--chip", tmp_path / "faster.toml"))["seconds"]
    gained = 1 - after / before
    assert gained > 0.01
    assert gained == pytest.approx(predicted, rel=0.1), recommended.text


# --- whatever the run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_every_width_and_scheme(browser, made, width, scheme):
    feature = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    open_page(browser, made[1] / "r.html", width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    small = browser.execute_script(
        """return [...document.querySelectorAll("main *")].filter(e => e.childElementCount === 0 && e.textContent.trim()
           && e.getClientRects().length && parseFloat(getComputedStyle(e).fontSize) < 11).map(e => e.outerHTML)""")
    assert small == []
    paper, ink = (browser.execute_script(f"return getComputedStyle(document.body).{p}")
                  for p in ("backgroundColor", "color"))
    light = [sum(map(int, re.findall(r"\d+", color)[:3])) for color in (paper, ink)]
    assert (light[0] > light[1]) == (scheme == "light")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert browser.get_log("browser") == []


def test_everything_that_acts_has_a_name(page):
    unnamed = page.execute_script(
        """return [...document.querySelectorAll("button, a, canvas, [role=img], [role=region]")]
           .filter(e => !(e.getAttribute("aria-label") || e.textContent.trim())).map(e => e.outerHTML)""")
    assert unnamed == []


def test_loads_nothing(made):
    html = (made[1] / "r.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", html)
    assert "@import" not in html and "http://" not in html.replace("http://www.w3.org/2000/svg", "")


def test_equal_runs_give_equal_pages(presil, model, made, tmp_path):
    result, folder = made
    wanted = (folder / "r.html").read_bytes()
    run_presil(presil, "report", folder / "r.trace", "-o", tmp_path / "saved.html")
    assert (tmp_path / "saved.html").read_bytes() == wanted, "the trace is all that a report needs"
    run_presil(presil, "run", model, "--shape", "x=1x3x48x192", "-j", "2", "--report", tmp_path / "data.html")
    assert (tmp_path / "data.html").read_bytes() == wanted, "data and threads change nothing"


def test_a_failed_run_has_a_report(presil, browser, tmp_path):
    program = tmp_path / "stuck.txt"
    run_presil(presil, *"bench gemm --m 128 --n 128 --k 128 --no-data --trace".split(), tmp_path / "t.trace")
    program.write_text('presil executable 1\nchip "trn2" 0000000000000000\nmodel "stuck"\nprecision "fp32"\n'
                       "semaphores 1\nhbm_bytes 4096\nqueue {\n  vector memset dst=sbuf.fp32[p0+128 8] wait=s0>=1\n}\n")
    done = subprocess.run([presil, "run", program, "--retime", "--no-data", "--report", tmp_path / "r.html"],
                          capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    open_page(browser, tmp_path / "r.html")
    assert "deadlock" in browser.find_element(By.CSS_SELECTOR, ".failed").text


def test_bad_arguments(presil, made, tmp_path):
    def refused(*arguments):
        done = subprocess.run([presil, *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == 2
        return done.stderr

    trace = made[1] / "r.trace"
    assert refused("report", trace, "-o", "r.pdf") == "presil: error: -o: 'r.pdf' ends in neither .html nor .md\n"
    assert refused("report", tmp_path / "no.trace", "-o", "r.html").startswith(f"presil: error: {tmp_path}/no.trace: ")
    (tmp_path / "x.trace").write_bytes(b"nothing of the kind")
    assert refused("report", tmp_path / "x.trace", "-o", "r.html") == f"presil: error: {tmp_path}/x.trace: not a saved trace\n"


@pytest.mark.long
def test_a_large_network_opens_at_once(browser, presil, root, tmp_path):
    model = exported(root, "vit_b_16")
    run_presil(presil, "run", model, "--dim", "batch=8", "--precision", "bf16", "--no-data", "--report", tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size < 30e6
    open_page(browser, tmp_path / "r.html")
    assert browser.execute_script("return presilReport.events.count") > 100_000
    assert browser.execute_script("return presilReport.readyMs") < 2000
    assert browser.get_log("browser") == []


def test_a_million_events_stay_smooth(browser, presil, root, tmp_path):
    subprocess.run([root / "build/tests/tools/synthetic_trace", "1000000", tmp_path / "m.trace"], check=True)
    run_presil(presil, "report", tmp_path / "m.trace", "-o", tmp_path / "m.html")
    assert (tmp_path / "m.html").stat().st_size < 30e6
    open_page(browser, tmp_path / "m.html")
    assert browser.execute_script("return presilReport.events.count") == 1000000
    ready = browser.execute_script("return presilReport.readyMs")
    times = browser.execute_async_script(
        """const done = arguments[0], {timeline, view} = presilReport, whole = view.to, times = [];
           let step = 0;
           const frame = () => {
             times.push(timeline.drawMs);
             if (++step > 90) return done(times.slice(1));
             if (step <= 40) view.zoom(0.8, whole * 0.37);
             else view.pan(view.span * (step <= 60 ? 0.1 : -0.5));
             if (step === 70) view.all();
             requestAnimationFrame(frame);
           };
           frame();""")
    # Nine of ten: what else the machine does may interrupt a frame.
    slow = sorted(times)[len(times) * 9 // 10]
    print(f"ready after {ready:.0f} ms; nine of ten frames within {slow:.1f} ms")
    assert slow < FRAME_MS_MOST
    assert ready < READY_MS_MOST
