"""A headless Chromium, as Debian ships it."""

import base64
import os
import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--hide-scrollbars",
)


def start_browser(profile):
    """Return a driver with a fresh profile; without Chromium skip, but fail where CI is set."""
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs:
        message = "chromium and chromedriver are needed (Debian: chromium, chromium-driver)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))
    driver.set_page_load_timeout(30)
    return driver


class Browser:
    """The few things that the tests do with a browser."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, url, width=1280, height=800):
        """Open a page in a window of this size; fail when a file of it is missing or broken."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get_log("browser")
        self.driver.get(url)

    @property
    def complaints(self):
        """What the console says since the last `open`: missing files, broken scripts."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    @property
    def scrolls_sideways(self):
        return self.run("return document.documentElement.scrollWidth > innerWidth")

    def run(self, script):
        return self.driver.execute_script(script)

    def text(self, selector="body"):
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def texts(self, selector):
        return [element.text for element in self.driver.find_elements(By.CSS_SELECTOR, selector)]

    def fill(self, **values):
        """Fill in the form whose fields have these names, and send it."""
        for name, value in values.items():
            field = self.driver.find_element(By.NAME, name)
            field.clear()
            field.send_keys(value)
        page = self.driver.find_element(By.TAG_NAME, "html")
        field.submit()
        WebDriverWait(self.driver, 30).until(lambda _: is_gone(page))

    def photograph(self, path):
        """Save the page in its whole length."""
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": self._whole_page()}
        )
        path.write_bytes(base64.b64decode(shot["data"]))

    def _whole_page(self):
        script = "return [innerWidth, document.documentElement.scrollHeight]"
        width, height = self.run(script)
        return {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}


def is_gone(element):
    try:
        element.is_enabled()
    except Exception:  # noqa: BLE001 - each driver says in its own words that the page has changed
        return True
    return False
