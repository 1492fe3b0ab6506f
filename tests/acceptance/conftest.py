import pytest

from tests.acceptance.browser import Browser, start_browser
from tests.acceptance.postgres import postgres, postgres_server  # noqa: F401 - fixtures
from tests.acceptance.rls import locked, locked_template, mode, sites  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def browser_driver(tmp_path_factory):
    driver = start_browser(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def browser(browser_driver):
    """A browser that nobody is logged in with."""
    browser_driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser_driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    return Browser(browser_driver)


@pytest.fixture
def urls(project):
    """Give the URLconf of a module's project, to be changed by a test."""
    path = project.folder / "project" / "urls.py"
    text = path.read_text()
    yield path
    path.write_text(text)
