"""The seed's consumer in a web process of its own: joined to the tenant's group, nothing else."""

from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path


class SeedConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self):
        self.group = f"noc_tenant_{self.scope['url_route']['kwargs']['tenant_id']}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def ticket_updated(self, event):
        await self.send_json(event)


application = ProtocolTypeRouter(
    {"websocket": URLRouter([path("ws/seed/<int:tenant_id>/", SeedConsumer.as_asgi())])}
)
