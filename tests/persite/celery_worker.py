"""A worker in the thread of the test, in its transaction: it works off the messages there are."""

from queue import Empty

from kombu.utils.imports import symbol_by_name

from sitefleet.current import current_state
from tests.persite.celery_app import app


def work_off(limit=1000, handle=lambda request: request.execute()):
    """Run what is enqueued, as a worker: for no site before, and for none after each task."""
    inside = current_state.get()
    current_state.set(None)
    count = 0
    with app.connection_for_read() as connection, connection.SimpleQueue("tests") as queue:
        while count < limit:
            try:
                message = queue.get_nowait()
            except Empty:
                break
            handle(request_of(message))
            assert current_state.get() is None, "a site was left over"
            count += 1
    current_state.set(inside)
    return count


def request_of(message):
    task = app.tasks[message.headers["task"]]
    return symbol_by_name(task.Request)(message, app=app)


def outcome(result):
    """Work off what there is; return the result, or raise what the task has raised."""
    work_off()
    return result.get(timeout=0.2, interval=0.001)
