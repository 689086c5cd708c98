import os
import signal

from celery import Celery
from celery.signals import worker_ready

queue = Celery("tasks", broker="memory://", backend="cache+memory://")


@queue.task
def add(a: int, b: int) -> int:
    return a + b


@worker_ready.connect
def finish(sender, **_):
    print(f"the worker has {', '.join(name for name in sender.app.tasks if name.startswith('tasks.'))}", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
