"""Clients that ask a router without a pause."""

import threading

from tests.acceptance.fleet_tools import wait_for


class Load:
    """Requests one after another in some threads, until it is stopped."""

    def __init__(self, routed, hosts, threads=4):
        self.routed, self.hosts = routed, hosts
        self.done, self.failed = 0, []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.ask) for _ in range(threads)]

    def ask(self):
        while not self.stopping.is_set():
            for host in self.hosts:
                try:
                    answer = self.routed.get(host, method="POST", body=b"x" * 500)
                    good = answer.status == 200 and answer.told["length"] == 500
                except (OSError, ValueError) as error:
                    answer, good = error, False
                self.done += 1
                if not good:
                    self.failed.append((host, answer))

    def go_on(self, requests, seconds=30):
        """Wait until so many more requests have been answered: a machine may be slow."""
        wanted = self.done + requests
        assert wait_for(lambda: self.done >= wanted, seconds), self.failed

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
