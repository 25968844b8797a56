"""``{% load importmap %}{% importmap %}``: for the head of a page whose modules import packages."""

from django import template
from django.template.context import RequestContext
from django.utils.safestring import SafeString

from apps.noc import importmap

register = template.Library()


@register.simple_tag(name="importmap", takes_context=True)
def importmap_script(context: RequestContext) -> SafeString:
    return importmap.script(context["request"])
