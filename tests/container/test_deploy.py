"""What runs beside the container: the Compose file, and Prometheus' configuration and alert rules."""

import re
import shutil

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from service import metrics
from tests.container.engine import STORE, sh
from tests.support import ROOT

DEPLOY = ROOT / "deploy"


def test_compose_mounts_the_store_and_locks_the_container() -> None:
    """The service of compose.yaml keeps its store in a volume, has nothing to spare, and is what Prometheus scrapes."""
    document = yaml.safe_load((ROOT / "compose.yaml").read_text())
    service, prometheus = document["services"]["plumbline"], document["services"]["prometheus"]
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"][0]["static_configs"][0]["targets"]

    assert service["volumes"] == [f"models:{STORE}"]
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    assert scraped == ["plumbline:8080"]
    assert set(document["volumes"]) == {"models", "metrics"}
    files = [volume.split(":")[0] for volume in prometheus["volumes"] if volume.startswith("./")]
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_alerts_use_metrics_that_exist() -> None:
    """Every metric of our own that an alert names is one that the service declares."""
    text = (DEPLOY / "alerts.yml").read_text()
    families = {family.name for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase) for family in metric.describe()}
    declared = {family + suffix for family in families for suffix in ("", "_total", "_bucket", "_sum", "_count")}

    assert set(re.findall(r"plumbline_\w+", text)) - declared == set()


@pytest.mark.container
@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed; it comes with Debian's package prometheus")
@pytest.mark.parametrize(("kind", "file"), [("config", "prometheus.yml"), ("rules", "alerts.yml")])
def test_prometheus_accepts_its_files(kind: str, file: str) -> None:
    """promtool finds nothing wrong with the configuration and the alert rules."""
    done = sh("promtool", "check", kind, DEPLOY / file)

    assert done.returncode == 0, done.stdout + done.stderr
