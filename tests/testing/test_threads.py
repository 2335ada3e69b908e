"""Threads of the code under test: the test waits for them, and not for others."""

import _thread
import queue
import threading
import time
from datetime import datetime, timezone
from unittest import mock

import freezegun
import pytest

from django_websocket.testing import threads as module
from django_websocket.testing.scheduler import scheduler
from django_websocket.testing.threads import Activity, Threads

from ..promptness import within
from . import views

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)

on_linux = pytest.mark.skipif(
    not module._read(threading.get_native_id(), "syscall"),
    reason="the system does not say what a thread waits for",
)


@route("slow/<int:milliseconds>/")
def slow(request, milliseconds):
    """Send in a thread that takes its time."""
    websocket = request.websocket
    websocket.accept()

    def work():
        time.sleep(milliseconds / 1000)
        websocket.send("from a thread")

    thread = threading.Thread(target=work)
    thread.start()
    list(websocket)
    thread.join()


@route("busy/")
def busy(request):
    """Send in a thread that computes."""
    websocket = request.websocket
    websocket.accept()

    def work():
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass
        websocket.send("computed")

    thread = threading.Thread(target=work)
    thread.start()
    list(websocket)
    thread.join()


@route("raw/")
def raw(request):
    """Send in a thread that the threading module has not started."""
    websocket = request.websocket
    websocket.accept()
    done = _thread.allocate_lock()
    done.acquire()

    def work():
        sum(range(1_000_000))
        websocket.send("computed")
        done.release()

    _thread.start_new_thread(work, ())
    list(websocket)
    done.acquire()


DAY = 24 * 60 * 60


@route("dated/", ping_interval=None)
def dated(request):
    """Send the date each day."""
    request.websocket.accept()
    while not request.websocket.closed:
        time.sleep(DAY)
        request.websocket.send(datetime.now(tz=timezone.utc).date().isoformat())


@pytest.fixture
def worker():
    """Return a queue, whose thread calls what is put into it."""
    tasks = queue.Queue()

    def work():
        while (task := tasks.get()) is not None:
            task()

    thread = threading.Thread(target=work)
    thread.start()
    yield tasks
    tasks.put(None)
    thread.join()


class TestSessions:
    @pytest.mark.parametrize("timeout", [None, 5])
    @pytest.mark.parametrize("milliseconds", [0, 20, 800])
    def test_a_thread_that_sleeps(self, client, milliseconds, timeout):
        with client.websocket(f"/slow/{milliseconds}/") as websocket:
            now = scheduler().now
            assert websocket.wait(timeout) == "from a thread"
            assert scheduler().now == now, "the clock stands still while a thread works"

    @pytest.mark.parametrize("timeout", [None, 5])
    def test_a_thread_that_computes(self, client, timeout):
        with client.websocket("/busy/") as websocket:
            assert websocket.wait(timeout) == "computed"

    @on_linux
    def test_a_thread_that_waits_for_work_is_not_waited_for(self, client, worker, monkeypatch):
        monkeypatch.setattr(module, "BLOCKED_TIMEOUT", 60)
        sockets = []
        with client.websocket("/member/") as websocket:
            worker.put(lambda: views.seen[0].send("one"))
            assert websocket.wait(timeout=5) == "one"
            with pytest.raises(TimeoutError):
                websocket.wait(timeout=5)
            worker.put(lambda: sockets.append(views.seen[0].close(4000)))
            assert websocket.wait() is None
        assert websocket.close_code == 4000

    @on_linux
    def test_a_thread_of_others_that_sleeps_is_not_waited_for(self, client, worker, monkeypatch):
        monkeypatch.setattr(module, "BLOCKED_TIMEOUT", 60)
        begun, done = threading.Event(), threading.Event()
        worker.put(lambda: (begun.set(), done.wait(60)))
        assert begun.wait(10)
        try:
            with client.websocket("/echo/") as websocket, pytest.raises(TimeoutError):
                websocket.wait(timeout=5)
        finally:
            done.set()

    @on_linux
    def test_a_thread_that_python_does_not_know(self, client):
        """Such threads, as the package itself has, count while they are running."""
        with client.websocket("/raw/") as websocket:
            assert websocket.wait(timeout=5) == "computed"

    def test_a_thread_that_sleeps_for_ever_is_waited_for_once(self, client, monkeypatch):
        """It is not waited for at each of the view's deadlines."""
        monkeypatch.setattr(module, "BLOCKED_TIMEOUT", 0.1)
        done = threading.Event()
        thread = threading.Thread(target=done.wait, args=[60])
        with client.websocket("/patient/") as websocket:
            thread.start()
            start = time.monotonic()
            assert [websocket.wait() for _ in range(1000)] == ["anybody?"] * 1000
            assert within(time.monotonic() - start, 50)
            done.set()
            thread.join()

    @on_linux
    def test_a_thread_that_has_sent_is_waited_for(self, client, worker):
        with client.websocket("/member/") as websocket:
            worker.put(lambda: (views.seen[0].send("one"), time.sleep(0.1), views.seen[0].send("two")))
            assert [websocket.wait(timeout=5), websocket.wait(timeout=5)] == ["one", "two"]

    def test_the_end_of_the_last_session_waits_for_what_runs(self, client, worker):
        done = []
        with client.websocket("/echo/"):
            worker.put(lambda: (sum(range(1_000_000)), done.append(True)))
        assert done


@route("member/")
def member(request):
    views.seen.append(request.websocket)
    request.websocket.accept()
    list(request.websocket)


class TestActivity:
    """The activity of one thread, without sessions."""

    def check(self, target, expected):
        threads = Threads()
        threads.begin()
        thread = threading.Thread(target=target)
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while threads._look()[0] is not expected:
                assert time.monotonic() < deadline
            return threads
        finally:
            self.done.set()
            thread.join()

    @pytest.fixture(autouse=True)
    def _done(self):
        self.done = threading.Event()

    @on_linux
    def test_idle(self):
        self.check(self.done.wait, Activity.IDLE)

    def test_blocked(self):
        self.check(lambda: self.done.wait(60), Activity.BLOCKED)

    @on_linux
    def test_running(self):
        def run():
            while not self.done.is_set():
                pass

        self.check(run, Activity.RUNNING)

    @on_linux
    @pytest.mark.parametrize("limit", ["0x0", "0x7f2bea4da3e0"])
    def test_a_thread_that_is_being_woken(self, monkeypatch, tmp_path, limit):
        """Guards threads for which there is work: until they run, Linux shows the call in which they have waited."""
        (tmp_path / "7").mkdir()
        (tmp_path / "7" / "syscall").write_text(f"{module._FUTEX} 0x1 0x189 0x0 {limit} 0x0 0xffffffff 0x2 0x3\n")
        monkeypatch.setattr(module, "_TASKS", tmp_path)
        seen = []
        for state in "SR":
            (tmp_path / "7" / "stat").write_text(f"7 (a) R (name) {state} 1 7 7 0 -1 4194304")
            seen.append(module._look(7))
        assert seen == [Activity.IDLE if limit == "0x0" else Activity.BLOCKED, Activity.RUNNING]

    def test_a_system_that_does_not_tell(self, monkeypatch, tmp_path):
        monkeypatch.setattr(module, "_TASKS", tmp_path / "nothing")
        threads = self.check(self.done.wait, Activity.BLOCKED)
        assert threads.wait(threading.Event()) is False

    def test_it_waits_until_something_has_arrived(self):
        arrived = threading.Event()
        threads = Threads()
        threads.begin()
        timer = threading.Timer(0.05, arrived.set)
        timer.start()
        assert threads.wait(arrived)
        timer.join()

    def test_a_thread_that_runs_for_ever_has_a_limit(self, monkeypatch):
        monkeypatch.setattr(module, "RUNNING_TIMEOUT", 0.05)
        monkeypatch.setattr(module, "BLOCKED_TIMEOUT", 0.05)
        threads = Threads()
        monkeypatch.setattr(threads, "_look", lambda: (Activity.RUNNING, frozenset()))
        assert threads.wait(threading.Event()) is False
        threads.settle()

    def test_its_pauses_are_not_those_of_the_code_under_test(self, monkeypatch):
        """A test that counts what its view sleeps sees no call of ours, and no call of ours returns at once."""
        looks = [(Activity.RUNNING, frozenset())] * 3 + [(Activity.IDLE, frozenset())]
        threads = Threads()
        monkeypatch.setattr(threads, "_look", lambda: looks.pop(0))
        start = time.monotonic()
        with mock.patch("time.sleep") as sleep:
            threads.settle()
        assert time.monotonic() - start >= 3 * module.LOOK_INTERVAL * 0.9
        assert not looks
        sleep.assert_not_called()

    @pytest.mark.timeout(20)
    @pytest.mark.parametrize("activity", [Activity.BLOCKED, Activity.RUNNING])
    def test_a_test_that_stops_the_clock(self, monkeypatch, activity):
        monkeypatch.setattr(module, "RUNNING_TIMEOUT", 0.05)
        monkeypatch.setattr(module, "BLOCKED_TIMEOUT", 0.05)
        threads = Threads()
        monkeypatch.setattr(threads, "_look", lambda: (activity, frozenset({(1, "")})))
        with freezegun.freeze_time("2030-01-01"):
            assert threads.wait(threading.Event()) is False
            threads.settle()


class TestFrozenTime:
    """A view whose test has stopped the clock."""

    def test_time_stands_still_for_the_view_and_its_deadlines_do_not(self, client):
        with freezegun.freeze_time("2030-01-01"), client.websocket("/dated/") as websocket:
            start = scheduler().now
            assert [websocket.wait(), websocket.wait()] == ["2030-01-01"] * 2
            assert scheduler().now == start + 2 * DAY
