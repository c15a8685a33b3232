"""Drivers that move `core`'s values over the wire: `sync` over requests, `aio` over aiohttp."""
