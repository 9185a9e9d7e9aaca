"""A real master and its agents in one process, until it is killed. Written for Python 2.7.

The driver that starts them is a framework, too: it says that it is there and takes no offers.
"""

import sys

import mesos.scheduler
from mesos.interface import Scheduler, mesos_pb2


class Idle(Scheduler):
    def registered(self, driver, framework, master):
        driver.suppressOffers()

    def resourceOffers(self, driver, offers):
        for offer in offers:
            driver.declineOffer(offer.id)

    def error(self, driver, message):
        sys.exit("mesos: " + message)


info = mesos_pb2.FrameworkInfo()
info.user = ""
info.name = "lab"
mesos.scheduler.MesosSchedulerDriver(Idle(), info, "local").run()
