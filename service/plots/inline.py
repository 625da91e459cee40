"""An SVG file as a part of an HTML page."""

import re
from xml.etree import ElementTree as ET

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
HREF = f"{{{XLINK}}}href"
ET.register_namespace("", SVG)
ET.register_namespace("xlink", XLINK)


def inlined(file: bytes, prefix: str) -> str:
    """The element of an SVG file of ours, its ids unlike those of other figures of the page, which begin with another prefix."""
    root = ET.fromstring(file)  # noqa: S314 - we wrote it
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{prefix}-{value}")
            elif key == HREF and value.startswith("#"):
                element.set(key, f"#{prefix}-{value[1:]}")
            elif "url(#" in value:
                element.set(key, re.sub(r"url\(#", f"url(#{prefix}-", value))
    return ET.tostring(root, encoding="unicode")
