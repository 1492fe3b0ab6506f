"""The driver `zygote`: children that come, go, crash, hang and grow, and no request is lost."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import unix_connect

from tests.acceptance.load import Asking
from tests.acceptance.zygotes import is_alive, make_project, running, wait_for

pytestmark = pytest.mark.acceptance

SLUGS = [f"s{number}" for number in range(60)]
#: Ahead of the project's other code: a thread, a file and a connection that are left at import; a
#: receiver of `post_fork` that a file beside the project makes fail.
HOOKS = """
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from django.apps import AppConfig

_server = socket.create_server(("127.0.0.1", 0))
_client = socket.create_connection(_server.getsockname())
threading.Thread(target=time.sleep, args=(3600,), name="metrics", daemon=True).start()


class Hooks(AppConfig):
    name = "project"

    def ready(self):
        from sitefleet.serving.signals import post_fork

        post_fork.connect(forked)


FORKED = []


def forked(site_id, **kwargs):
    FORKED.append((site_id, os.getpid()))
    sabotage = BASE_DIR / f"fails-{site_id}"
    if sabotage.exists():
        print("sabotaged", flush=True)
        os._exit(9)
    if (BASE_DIR / f"hangs-{site_id}").exists():
        time.sleep(3600)
    if (BASE_DIR / f"raises-{site_id}").exists():
        raise SystemExit("this site does not start")


INSTALLED_APPS += ["project.settings.Hooks"]
"""
VIEWS = """

def told(request):
    import random

    from project import settings

    return JsonResponse({"forked": settings.FORKED, "random": random.random(), "pid": os.getpid(),
                         "nice": os.nice(0), "sockets": open_sockets()})


def open_sockets():
    return sum("socket:" in link(name) for name in os.listdir("/proc/self/fd"))


async def hang_loop(request):
    time.sleep(3600)


def link(name):
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return ""


urlpatterns += [path("told/", told), path("hang-loop/", hang_loop)]
"""


BACKENDS = """

def backend(request):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return JsonResponse({"pid": cursor.fetchone()[0]})


urlpatterns.append(path("backend/", backend))
"""
IDS = """
import json
from sitefleet.models import SiteConfig
print(json.dumps(dict(SiteConfig.objects.values_list("slug", "site_id"))))
"""
POSTGRES = ("one", "two", "three")


def write(project, name, text):
    path = project.folder / "project" / name
    path.write_text(path.read_text() + text)


@pytest.fixture(scope="module")
def project():
    with make_project(SLUGS, SERVING={"environment": ["FLAVOUR"]}) as project:
        write(project, "settings.py", HOOKS)
        write(project, "urls.py", VIEWS)
        yield project


@pytest.fixture(scope="module")
def zygote(project):
    with running(project) as zygote:
        zygote.apply(**{slug: {} for slug in SLUGS})
        yield zygote


@pytest.fixture
def slug(zygote, taken=iter(SLUGS)):  # noqa: B008 - one iterator for all tests
    """A site that no other test has touched."""
    return next(taken)


class Load(Asking):
    """Requests to sites, by turns in some threads."""

    def __init__(self, zygote, *slugs, threads=4):
        self.zygote, self.answers, self.failures = zygote, [], []
        super().__init__(*(slugs[number % len(slugs)] for number in range(threads)))

    def ask(self, slug):
        try:
            answer = self.zygote.get(slug)
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))
        else:
            self.answers.append(answer)
            if answer.status != 200:
                self.failures.append(answer.status)

    @property
    def pids(self):
        return {answer.json["pid"] for answer in list(self.answers) if answer.status == 200}


def test_the_first_connection_forks_a_process_which_is_for_that_site_alone(zygote, slug):
    assert zygote.state(slug) == ["idle"]
    answer = zygote.get(slug)
    assert answer.json["SITE_ID"] == str(zygote.ids[slug])
    assert answer.json["site"] == slug
    assert zygote.state(slug) == ["running"]
    assert zygote.get(slug, headers={"Host": "s59.example"}).status == 404


def test_two_sites_have_two_processes_and_neither_has_the_others_sockets(zygote):
    assert zygote.pid("s58") != zygote.pid("s57")
    # Its own listening socket twice, and the connection that asks; those that the project has left.
    assert zygote.get("s58", "/told/").json["sockets"] <= 3 + 2


def test_an_idle_process_ends_and_the_next_connection_has_one_again(zygote, slug):
    zygote.change(slug, idle=1)
    first = zygote.pid(slug)
    assert wait_for(lambda: zygote.state(slug) == ["idle"], 5)
    assert not is_alive(first)
    assert zygote.pid(slug) != first
    assert zygote.status(slug)[0].restarts == 0


def test_with_idle_0_a_process_is_started_at_once_and_started_again(zygote, slug):
    zygote.change(slug, idle=0)
    assert wait_for(lambda: zygote.state(slug) == ["running"], 5)
    pid = zygote.status(slug)[0].pid
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: zygote.state(slug) == ["running"] and zygote.pid(slug) != pid, 5)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_crash_costs_its_own_requests_and_is_replaced(zygote, slug, threads):
    zygote.change(slug, threads=threads)
    other = zygote.pid("s59")
    pid = zygote.pid(slug)
    with pytest.raises((OSError, http.client.HTTPException)):
        zygote.get(slug, "/crash/")
    assert zygote.pid(slug) != pid
    assert zygote.status(slug)[0].restarts == 1
    assert zygote.pid("s59") == other
    assert "has ended (exit status 7)" in zygote.log(slug)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_request_that_hangs_costs_its_process_and_it_is_told_where_it_hung(zygote, slug, threads):
    zygote.change(slug, threads=threads, timeout=1)
    pid = zygote.pid(slug)
    with pytest.raises((OSError, http.client.HTTPException)):
        zygote.get(slug, "/hang/", timeout=8)
    assert zygote.pid(slug) != pid
    assert wait_for(lambda: "in hang" in zygote.log(slug), 5), zygote.log(slug)
    assert "took more than 1 s" in zygote.log(slug)


def test_a_slow_client_costs_nothing_and_a_stream_may_take_its_time(zygote, slug):
    zygote.change(slug, timeout=1)
    pid = zygote.pid(slug)
    assert zygote.get(slug, "/stream/?lines=3&pause=0.6").status == 200
    assert zygote.pid(slug) == pid


def test_a_process_beyond_its_memory_limit_is_replaced(zygote, slug):
    zygote.change(slug, memory_limit=60)
    pid = zygote.get(slug, "/grow/?megabytes=70").json["pid"]
    assert wait_for(lambda: zygote.pid(slug) != pid, 8)
    assert "MB, the limit is 60 MB" in zygote.log(slug)


def test_a_process_far_beyond_its_memory_limit_is_not_waited_for(zygote, slug):
    zygote.change(slug, memory_limit=20)
    pid = zygote.get(slug, "/grow/?megabytes=60").json["pid"]
    with pytest.raises((OSError, http.client.HTTPException)):
        zygote.get(slug, "/slow/?seconds=20", timeout=8)
    assert wait_for(lambda: not is_alive(pid), 5)


def test_after_its_number_of_requests_a_process_is_replaced_and_none_is_lost(zygote, slug):
    zygote.change(slug, max_requests=10)
    with Load(zygote, slug) as load:
        wait_for(lambda: len(load.answers) > 200)
    assert load.failures == []
    assert len(load.pids) >= 10


def test_processes_that_end_after_one_request_lose_none(zygote):
    slugs = SLUGS[40:50]
    quick = {"max_requests": 1, "threads": 1}
    zygote.apply(**zygote.options | dict.fromkeys(slugs, quick))
    with Load(zygote, *slugs, threads=10) as load:
        wait_for(lambda: len(load.pids) > 120, 30)
    assert load.failures == []
    assert len(load.pids) > 120  # the benchmark does 500


def test_more_processes_come_while_those_that_exist_are_busy(zygote, slug):
    zygote.change(slug, workers=3, threads=1)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(zygote.get(slug, "/slow/?seconds=1")))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    assert wait_for(lambda: len(zygote.status(slug)) == 3, 5)
    for thread in threads:
        thread.join()
    assert len({answer.json["pid"] for answer in answers}) == 3


def test_one_process_is_enough_for_who_is_not_busy(zygote, slug):
    zygote.change(slug, workers=4)
    for _ in range(30):
        zygote.get(slug)
    assert len(zygote.status(slug)) == 1


@pytest.mark.parametrize("how", ["fails", "raises"])
def test_a_site_that_does_not_start_answers_503_and_is_tried_again(zygote, slug, how, project):
    sabotage = project.folder / f"{how}-{zygote.ids[slug]}"
    sabotage.touch()
    answer = zygote.get(slug)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    status = zygote.status(slug)[0]
    assert status.state == "failing"
    assert "does not start" in status.note
    assert zygote.get("s59").status == 200
    sabotage.unlink()
    assert wait_for(lambda: zygote.get(slug).status == 200, 5)
    assert zygote.state(slug) == ["running"]


def test_pauses_between_failing_starts_grow(zygote, slug, project):
    (project.folder / f"fails-{zygote.ids[slug]}").touch()
    with Load(zygote, slug, threads=1) as load:
        time.sleep(2)
    assert set(load.failures) == {503}
    assert zygote.log(slug).count("sabotaged") <= 3


def test_a_client_that_says_nothing_gets_its_503_too(zygote, slug, project):
    (project.folder / f"fails-{zygote.ids[slug]}").touch()
    zygote.get(slug)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(zygote.context.run_dir.socket(zygote.key(slug))))
        assert client.recv(100).startswith(b"HTTP/1.1 503")


def test_the_signal_post_fork_is_sent_once_in_each_process(zygote, slug):
    told = zygote.get(slug, "/told/").json
    assert told["forked"] == [[zygote.ids[slug], told["pid"]]]


def test_processes_draw_different_random_numbers(zygote):
    numbers = {zygote.get(slug, "/told/").json["random"] for slug in SLUGS[50:56]}
    assert len(numbers) == 6


def test_threads_and_connections_that_were_left_open_are_told_by_name(zygote):
    assert "The thread 'metrics' (time.sleep)" in zygote.said
    assert "post_fork" in zygote.said
    assert "a connection to 127.0.0.1:" in zygote.said


def test_niceness_is_that_of_the_site(zygote, slug):
    before = zygote.get("s59", "/told/").json["nice"]
    zygote.change(slug, niceness=7)
    assert zygote.get(slug, "/told/").json["nice"] == before + 7


def test_an_environment_of_its_own_is_a_parent_of_its_own(zygote, slug):
    zygote.get(slug)
    zygote.change(slug, environment={"FLAVOUR": "salt"})
    assert wait_for(lambda: zygote.get(slug).json["flavour"] == "salt", 10)
    assert zygote.get("s59").json["flavour"] == ""
    zygote.change(slug)
    assert wait_for(lambda: zygote.get(slug).json["flavour"] == "", 10)


def test_an_unchanged_site_is_not_disturbed_by_changes_of_others(zygote, slug):
    pid = zygote.pid("s59")
    for number in range(3):
        zygote.change(slug, timeout=20 + number)
    assert zygote.pid("s59") == pid


def test_ten_changes_under_load_lose_no_request(zygote, slug):
    with Load(zygote, slug, "s59") as load:
        for number in range(10):
            zygote.change(slug, threads=1 + number % 2, timeout=30 + number)
            time.sleep(0.05)
    assert load.failures == []


def test_a_reload_of_one_site_gives_it_a_fresh_process_and_loses_nothing(zygote, slug):
    other, pid = zygote.pid("s59"), zygote.pid(slug)
    with Load(zygote, slug) as load:
        zygote.reload(slug)
        assert wait_for(lambda: len(load.pids) > 1 and load.answers[-1].json["pid"] != pid)
    assert load.failures == []
    assert zygote.pid("s59") == other


def test_a_site_that_is_gone_answers_what_it_has_begun(zygote, slug):
    zygote.get(slug)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(zygote.get(slug, "/slow/?seconds=1")))
    asking.start()
    time.sleep(0.3)
    zygote.apply(**{name: given for name, given in zygote.options.items() if name != slug})
    asking.join()
    assert answers[0].status == 200
    assert wait_for(lambda: not zygote.status(slug), 5)


def test_an_event_loop_that_hangs_costs_its_process(zygote, slug):
    zygote.change(slug, interface="asgi", timeout=1)
    pid = zygote.pid(slug)
    with pytest.raises((OSError, http.client.HTTPException)):
        zygote.get(slug, "/hang-loop/", timeout=10)
    assert zygote.pid(slug) != pid
    assert "took more than 1 s" in zygote.log(slug)


def test_a_site_of_asgi_answers_counts_and_rests(zygote, slug):
    zygote.change(slug, interface="asgi", idle=1)
    pid = zygote.pid(slug)
    assert zygote.status(slug)[0].requests == 1
    with Load(zygote, slug) as load:
        time.sleep(0.3)
    assert load.failures == []
    assert wait_for(lambda: zygote.state(slug) == ["idle"], 8)
    assert not is_alive(pid)


def test_sockets_of_a_process_that_ends_are_closed_before_its_patience_is_over(zygote, slug):
    zygote.change(slug, interface="asgi", timeout=3600)
    path = str(zygote.context.run_dir.socket(zygote.key(slug)))
    with unix_connect(path, f"ws://{slug}.example/socket/") as client:
        client.send("hello")
        assert client.recv(20) == f"{slug}:hello"
        zygote.reload(slug)
        with pytest.raises(ConnectionClosed):
            client.recv(20)
    assert (client.close_code, client.close_reason) == (1012, "Service Restart")


def test_new_code_is_taken_over_under_load_without_a_lost_request(zygote, project):
    urls = project.folder / "project" / "urls.py"
    late = threading.Thread(target=lambda: answers.append(zygote.get("s55", "/slow/?seconds=5")))
    answers, pid = [], zygote.pid("s55")
    late.start()
    with Load(zygote, "s56", "s59") as load:
        time.sleep(0.2)
        urls.write_text(urls.read_text().replace("VERSION = 1", "VERSION = 2"))
        zygote.reload()
        wait_for(lambda: load.answers[-1].json["version"] == 2)
    assert load.failures == []
    assert zygote.get("s59").json["version"] == 2
    assert ("stopping", pid) in [(row.state, row.pid) for row in zygote.status("s55")]
    late.join()
    assert answers[0].json["version"] == 1
    assert wait_for(lambda: not is_alive(pid), 5)


def test_code_that_cannot_be_loaded_leaves_the_old_one_running(zygote, project):
    urls = project.folder / "project" / "wsgi.py"
    before, parent = urls.read_text(), zygote.parent
    urls.write_text("this is no Python\n")
    try:
        zygote.reload()
    finally:
        urls.write_text(before)
    assert zygote.parent == parent
    assert zygote.get("s59").status == 200
    assert "the old one goes on: the project cannot be loaded" in zygote.said


def test_a_parent_that_is_killed_is_replaced_and_no_request_is_lost(zygote, slug):
    zygote.get(slug)
    child, parent = zygote.pid(slug), zygote.parent
    answers = []
    asking = threading.Thread(target=lambda: answers.append(zygote.get(slug, "/slow/?seconds=1")))
    asking.start()
    time.sleep(0.3)
    with Load(zygote, slug, "s59") as load:
        os.kill(parent, signal.SIGKILL)
        assert wait_for(lambda: zygote.parent != parent, 10)
        assert wait_for(lambda: len(load.pids) > 2, 10)
    asking.join()
    assert load.failures == []
    assert answers[0].status == 200
    assert wait_for(lambda: not is_alive(child), 5)


def test_a_project_that_cannot_be_loaded_answers_503_until_it_can():
    with make_project(["one"]) as project, running(project) as zygote:
        wsgi = project.folder / "project" / "wsgi.py"
        before = wsgi.read_text()
        wsgi.write_text("this is no Python\n")
        zygote.apply(one={})
        assert zygote.get("one").status == 503
        assert "cannot be loaded" in zygote.status("one")[0].note
        assert "SyntaxError" in zygote.log()
        wsgi.write_text(before)
        assert wait_for(lambda: zygote.get("one").status == 200, 15)


def test_a_project_that_crashes_while_it_is_loaded_answers_503_too():
    with make_project(["one"]) as project, running(project) as zygote:
        wsgi = project.folder / "project" / "wsgi.py"
        wsgi.write_text("import os\nos._exit(5)\n")
        zygote.apply(one={})
        assert zygote.get("one").status == 503
        assert "ended while it loaded the project" in zygote.status("one")[0].note


def test_all_sites_at_once_are_answered_and_few_processes_start_at_a_time():
    slugs = [f"s{number}" for number in range(60)]
    with make_project(slugs) as project, running(project) as zygote:
        zygote.apply(**{slug: {"threads": 1} for slug in slugs})
        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(zygote.get, slugs))
        assert [answer.json["site"] for answer in answers] == slugs
        assert len({answer.json["pid"] for answer in answers}) == len(slugs)
        rows = zygote.call(zygote.driver.status())
        assert {row.state for row in rows} == {"running"}
        assert len(rows) == len(slugs)


def test_processes_do_not_share_a_connection_to_postgresql(postgres_server):
    postgres_server.sql("CREATE DATABASE zygote")
    values = {"default": postgres_server.settings("zygote")}
    with make_project(POSTGRES, DATABASES=values) as project:
        write(project, "urls.py", BACKENDS)
        ids = json.loads(project.manage("shell", "--verbosity=0", "-c", IDS))
        with running(project, ids=ids) as zygote:
            ask_for_backends(zygote)


def ask_for_backends(zygote):
    zygote.apply(**{slug: {} for slug in POSTGRES})
    backends = [zygote.get(slug, "/backend/").json["pid"] for slug in POSTGRES]
    assert len(set(backends)) == len(POSTGRES)
    assert "has left a connection" not in zygote.said
    for slug in POSTGRES:
        assert zygote.get(slug).json["site"] == slug


def test_stop_answers_what_was_begun_and_leaves_nothing():
    with make_project(["one"]) as project, running(project) as zygote:
        zygote.apply(one={})
        pid, parent = zygote.pid("one"), zygote.parent
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(zygote.get("one", "/slow/?seconds=1"))
        )
        asking.start()
        time.sleep(0.3)
        zygote.call(zygote.driver.stop())
        asking.join()
        assert answers[0].status == 200
        assert not is_alive(pid)
        assert not is_alive(parent)
