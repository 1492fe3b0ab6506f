"""Clients that ask without a pause."""

import threading

from tests.acceptance.fleet_tools import wait_for


class Asking:
    """Calls a method again and again in threads, one for each target, until the block ends."""

    def __init__(self, *targets):
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._go, args=(each,)) for each in targets]

    def _go(self, target):
        while not self._ended.is_set():
            self.ask(target)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()


class Load(Asking):
    """Requests to a router, one after another in some threads."""

    def __init__(self, routed, hosts, threads=4):
        self.routed = routed
        self.done, self.failed = 0, []
        super().__init__(*[hosts] * threads)

    def ask(self, hosts):
        for host in hosts:
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
