"""The products whose registers are known, one file per maker.

Facts are those of the makers' documents, named in each template.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.protocols.modbus.template import Template
from gateway.protocols.modbus.templates import eastron, epever, peacefair, senseair

TEMPLATES: Final[Mapping[str, Template]] = MappingProxyType(
    {
        template.name: template
        for maker in (eastron, epever, peacefair, senseair)
        for template in maker.TEMPLATES
    }
)
